"""The guarded API's routes, and an authenticator that knows a token for each role."""

from service_kit.auth.identity import BadCredentialsError, Identity, Role, UncheckableError

ROUTES = {
    ("GET", "/demo/things"): Role.VIEWER,
    ("PUT", "/demo/things"): Role.OPERATOR,
    ("POST", "/demo/policies"): Role.APPROVER,
    ("DELETE", "/demo/keys"): Role.ADMIN,
}


class KnownTokens:
    """Accepts the name of a role as a token, and has tokens for failures."""

    async def identify(self, token: str) -> Identity:
        if token == "away":
            raise UncheckableError("the authenticator is away")
        if token == "bug":
            raise KeyError("secret value")
        if token == "without-role":
            return Identity("test:without-role", None)
        if token not in list(Role):
            raise BadCredentialsError("never seen")
        return Identity(f"test:{token}", Role(token))


class CountingTokens(KnownTokens):
    """Knows the same tokens, until they are revoked, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.revoked: set[str] = set()

    async def identify(self, token: str) -> Identity:
        self.asked += 1
        if token in self.revoked:
            raise BadCredentialsError("revoked")
        return await super().identify(token)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
