"""Runs public SCIM compliance tools against a bridge and compares what they find with `expected.json`.

Standard input is what `scim-bridge demo --json` prints: address and token. The exit status is 1 if a tool finds something
that is not expected, or no longer finds what is. `deploy/scripts/compliance.sh` runs it.
"""

import json
import pathlib
import subprocess
import sys

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import Schema, ScimProvider
from scim2_tester import Status, check_server

FAILURES = {Status.DEVIATION, Status.ERROR, Status.CRITICAL}
STANDARD = {
    "urn:ietf:params:scim:schemas:core:2.0:User",
    "urn:ietf:params:scim:schemas:core:2.0:Group",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
}


def scim2_tester(bridge, standard_alone):
    """What scim2-tester finds, by name, with its reason.

    It fills every attribute with random values. Those of the targets' extensions have limits that it cannot know, so a
    run with the schemas of RFC 7643 alone looks at what another run stops at.
    """
    client = Client(
        base_url=bridge["scim_url"], headers={"Authorization": f"Bearer {bridge['token']}"}, timeout=60
    )
    scim = SyncSCIMClient(client)
    scim.discover()
    name = "scim2-tester"
    if standard_alone:
        name += " (schemas of RFC 7643)"
        scim.provider = standard(scim)
    results = check_server(scim)
    findings = {}
    for result in results:
        if result.status in FAILURES:
            about = result.data.get("urn") if isinstance(result.data, dict) else None
            words = [f"{name}:", result.title, result.resource_type, about]
            findings[" ".join(word for word in words if word)] = str(result.reason)
    return findings, sum(result.status not in FAILURES | {Status.SKIPPED} for result in results)


def standard(scim):
    """What the bridge serves, without the extensions that are its own."""
    schemas = [schema for schema in scim.query(Schema).resources if schema.id in STANDARD]
    resource_types = scim.provider.resource_types
    for resource_type in resource_types:
        extensions = resource_type.schema_extensions or []
        resource_type.schema_extensions = [one for one in extensions if str(one.schema_) in STANDARD] or None
    return ScimProvider.from_discovery(schemas, resource_types, scim.provider.config, scim.provider.policy)


def scim_sanity(bridge):
    """What scim-sanity finds, by name, with its reason."""
    program = pathlib.Path(sys.executable).with_name("scim-sanity")
    options = ["--token", bridge["token"], "--i-accept-side-effects", "--json-output"]
    report = subprocess.run([program, "probe", bridge["scim_url"], *options], stdout=subprocess.PIPE, check=False)
    results = json.loads(report.stdout)["results"]
    failed = [result for result in results if result["status"] not in {"pass", "skip"}]
    findings = {f"scim-sanity: {result['name']}": result.get("message", "") for result in failed}
    return findings, sum(result["status"] == "pass" for result in results)


def main():
    bridge = json.load(sys.stdin)
    expected = json.loads(pathlib.Path(__file__).with_name("expected.json").read_text(encoding="utf-8"))
    found = {}
    for findings, passed in (scim2_tester(bridge, False), scim2_tester(bridge, True), scim_sanity(bridge)):
        print(f"{passed} checks passed, {len(findings)} did not")
        found |= findings
    gone = []
    for group in expected:
        print(f"Expected: {group['reason']}")
        for finding in group["findings"]:
            print(f"    {finding}")
            if found.pop(finding, None) is None:
                gone.append(finding)
    for finding in gone:
        print(f"No longer found, so it has to leave expected.json: {finding}")
    for finding, reason in sorted(found.items()):
        print(f"Not expected: {finding}\n    {' '.join(reason.split())[:500]}")
    return 1 if gone or found else 0


if __name__ == "__main__":
    sys.exit(main())
