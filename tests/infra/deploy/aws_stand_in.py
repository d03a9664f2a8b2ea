"""What `aws ecs` does, as far as the script sees. It reads how it shall behave from the state's "wishes"."""

import json
import os
import sys
from pathlib import Path

folder = Path(os.environ["FAKE_AWS"])
state = json.loads((folder / "state.json").read_text())
wishes = state["wishes"]
group, command, *rest = sys.argv[1:]
assert group == "ecs", sys.argv
assert rest[:3] == ["--output", "json", "--cli-input-json"], sys.argv
asked = json.loads(rest[3])
with (folder / "asked").open("a") as file:
    file.write(json.dumps([command, asked]) + "\n")


def refuse(text):
    print(f"An error occurred (ClientException): {text}", file=sys.stderr)
    sys.exit(254)


def name_of(definition):
    return definition.rpartition("/")[2].partition(":")[0].removeprefix("smartrecover-trial-")


def advance(service):
    """What became of a service's newest deployment since it was last looked at."""
    newest = service["deployments"][0]
    name = service["serviceName"]
    if newest["rolloutState"] != "IN_PROGRESS" or name in wishes["never"]:
        return
    if name in wishes["replaced"]:
        service["deployments"] = [{**newest, "id": f"of-another-{name}"}]
    elif name in wishes["broken"] and not newest["taskDefinition"].endswith(":1"):
        newest |= {"rolloutState": "FAILED", "rolloutStateReason": "deployment circuit breaker: tasks failed"}
    else:
        newest["rolloutState"] = "COMPLETED"
        service["deployments"] = [newest]


if command in wishes["refused"]:
    refuse(f"not allowed to call {command}")
if command == "describe-services":
    answer = {"services": [], "failures": []}
    for name in asked["services"]:
        if name in state["services"]:
            advance(state["services"][name])
            answer["services"].append(state["services"][name])
        else:
            answer["failures"].append({"arn": name, "reason": "MISSING"})
elif command == "describe-task-definition":
    wanted = asked["taskDefinition"]
    found = [arn for arn, known in state["definitions"].items() if wanted in (arn, known["family"])]
    if not found:
        refuse("Unable to describe task definition.")
    described = {**state["definitions"][found[-1]], "taskDefinitionArn": found[-1], "revision": 7, "status": "ACTIVE"}
    described |= {"requiresAttributes": [], "compatibilities": ["FARGATE"], "registeredAt": 1.0, "registeredBy": "x"}
    answer = {"taskDefinition": described, "tags": described.pop("tags")}
elif command == "register-task-definition":
    known = {"family", "containerDefinitions", "cpu", "memory", "volumes", "tags", "runtimePlatform"}
    if unknown := set(asked) - known:
        refuse(f"Unknown parameter in input: {unknown}")
    known = [one for one in state["definitions"].values() if one["family"] == asked["family"]]
    arn = f"arn:task-definition/{asked['family']}:{len(known) + 1}"
    state["definitions"][arn] = asked
    answer = {"taskDefinition": {**asked, "taskDefinitionArn": arn}}
elif command == "run-task":
    answer = {"tasks": [{"taskArn": f"arn:task/{name_of(asked['taskDefinition'])}"}], "failures": []}
elif command == "describe-tasks":
    task = asked["tasks"][0]
    name = task.rpartition("/")[2]
    state["looks"][task] = state["looks"].get(task, 0) + 1
    container = {"name": name, "exitCode": 0}
    if name in wishes["exits"]:
        container["exitCode"] = wishes["exits"][name]
    if container["exitCode"] is None:
        del container["exitCode"]
    stopped = state["looks"][task] > 1 and name not in wishes["endless"]
    answer = {
        "failures": [],
        "tasks": [
            {
                "lastStatus": "STOPPED" if stopped else "RUNNING",
                "containers": [container],
                "stoppedReason": "Essential container in task exited",
            }
        ],
    }
elif command == "update-service":
    service = state["services"][asked["service"]]
    if service["taskDefinition"] != asked["taskDefinition"]:
        service["taskDefinition"] = asked["taskDefinition"]
        for deployment in service["deployments"]:
            deployment["status"] = "ACTIVE"
        service["deployments"].insert(
            0,
            {
                "id": f"deployment-of-{asked['taskDefinition']}",
                "status": "PRIMARY",
                "taskDefinition": asked["taskDefinition"],
                "rolloutState": "IN_PROGRESS",
            },
        )
    answer = {"service": service}
else:
    refuse(f"unknown command {command}")
(folder / "state.json").write_text(json.dumps(state))
print(json.dumps(answer))
