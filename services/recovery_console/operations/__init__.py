"""Operations: whether work flows, what waits, which loops are alive, what failed, and sending it back."""
