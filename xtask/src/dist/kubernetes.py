"""Holds manifests against Kubernetes' own schemas, and against each other.

kubernetes.py DIRECTORY VERSION: prints what each container and each probe runs, a JSON array a line.
"""

import json
import pathlib
import sys

import kubernetes_validate
import yaml

directory, version = pathlib.Path(sys.argv[1]), sys.argv[2]
files = {path.name: yaml.safe_load(path.read_text()) for path in directory.glob("*.yaml")}
kustomization = files.pop("kustomization.yaml")
assert sorted(kustomization["resources"]) == sorted(files), "not every file is a resource"
assert kustomization["images"] == [{"name": "udp-toolkit", "newTag": version}], "images"
by_kind = {it["kind"]: it for it in files.values()}

for name, it in files.items():
    # That of an extension has no schema here.
    if it["kind"] != "PodMonitor":
        kubernetes_validate.validate(it, kubernetes_validate.latest_version(), strict=True)
        print(f"{name}: {it['kind']}", file=sys.stderr)

template = by_kind["DaemonSet"]["spec"]["template"]
labels = template["metadata"]["labels"].items()
pods = template["spec"]
ports = {port["name"] for it in pods["containers"] for port in it["ports"]}
monitor = by_kind["PodMonitor"]["spec"]
for selector in (
    by_kind["DaemonSet"]["spec"]["selector"]["matchLabels"],
    by_kind["Service"]["spec"]["selector"],
    monitor["selector"]["matchLabels"],
):
    assert selector.items() <= labels, f"{selector} selects no pod"
for port in (
    [it["targetPort"] for it in by_kind["Service"]["spec"]["ports"]]
    + [it["port"] for it in monitor["podMetricsEndpoints"]]
    + [it[kind]["httpGet"]["port"] for it in pods["containers"]
       for kind in ("livenessProbe", "readinessProbe") if "httpGet" in it[kind]]
):
    assert port in ports, f"no port is called {port}"
assert by_kind["Namespace"]["metadata"]["name"] == kustomization["namespace"], "namespace"
assert pods["securityContext"]["runAsNonRoot"] and not pods["automountServiceAccountToken"]
for it in pods["containers"]:
    assert it["image"] == f"udp-toolkit:{version}", it["image"]
    assert it["securityContext"]["readOnlyRootFilesystem"] and it["resources"]["limits"]
    print(json.dumps(it["command"] + it["args"]))
    for kind in ("livenessProbe", "readinessProbe"):
        if "exec" in it[kind]:
            print(json.dumps(it[kind]["exec"]["command"]))
