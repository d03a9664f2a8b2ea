"""The whole system on one machine: a local SQS, both services, and a demonstration of the main job."""
