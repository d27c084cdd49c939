"""JSON schemas for kubeconform, from what Kubernetes itself publishes.

kubeconform's own default is to download schemas. These come from two files at hand instead: the OpenAPI
document in the Kubernetes module (for the built-in kinds) and our CustomResourceDefinitions. Objects are
closed: a field that the API does not know is an error, as with `kubectl apply --validate=strict`.

    schemas.py --openapi swagger.json --into DIRECTORY
    schemas.py --crd crds/*.yaml --into DIRECTORY
"""

import argparse
import json
import pathlib

import yaml

REFERENCE = "#/definitions/"

# Names of the definitions whose wire form the OpenAPI document describes too narrowly.
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"


def close(schema):
    """The schema with every object closed that lists its properties, and its descriptions left out."""
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    closed = {}
    for key, value in schema.items():
        if key in ("description", "default") or key.startswith("x-kubernetes-"):
            continue
        if key == "properties":
            # Here the keys are names of fields: one of them is "$ref", another one "description".
            value = {name: close(field) for name, field in value.items()}
        elif isinstance(value, dict):
            value = close(value)
        elif key in ("allOf", "anyOf", "oneOf"):
            value = [close(alternative) for alternative in value]
        closed[key] = value
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields")
    if "properties" in schema and "additionalProperties" not in schema and not open_ended:
        closed["additionalProperties"] = False
    return closed


def references(schema):
    """The names of the definitions that the schema refers to directly."""
    if isinstance(schema, list):
        return set().union(*map(references, schema))
    if not isinstance(schema, dict):
        return set()
    found = set().union(*map(references, schema.values()))
    target = schema.get("$ref")
    if isinstance(target, str):
        found.add(target.removeprefix(REFERENCE))
    return found


def reachable(name, definitions):
    """The definitions that the named one needs, itself left out unless it is recursive."""
    found, pending = {}, references(definitions[name])
    while pending:
        needed = pending.pop()
        if needed not in found:
            found[needed] = definitions[needed]
            pending |= references(definitions[needed])
    return found


def of_openapi(path):
    """(file name, schema) of every built-in kind."""
    published = json.loads(path.read_text())["definitions"]
    definitions = {name: close(definition) for name, definition in published.items()}
    definitions[QUANTITY] = {"type": ["string", "number"]}
    for name, definition in published.items():
        kinds = definition.get("x-kubernetes-group-version-kind", [])
        # Several kinds share one definition where it is a helper of the API machinery (DeleteOptions, Status).
        if len(kinds) != 1 or "kind" not in definition.get("properties", {}):
            continue
        group, version, kind = (kinds[0][part] for part in ("group", "version", "kind"))
        schema = definitions[name] | {"definitions": reachable(name, definitions)}
        schema["properties"] = schema["properties"] | {
            "apiVersion": {"const": f"{group}/{version}" if group else version},
            "kind": {"const": kind},
        }
        schema["required"] = sorted({"apiVersion", "kind"} | set(schema.get("required", [])))
        yield file_name(group, version, kind), schema


def of_crd(path):
    """(file name, schema) of every version that the CustomResourceDefinitions of the file serve."""
    for crd in yaml.safe_load_all(path.read_text()):
        spec = crd["spec"]
        for version in spec["versions"]:
            schema = close(version["schema"]["openAPIV3Schema"])
            schema["properties"] = schema["properties"] | {
                "apiVersion": {"const": f"{spec['group']}/{version['name']}"},
                "kind": {"const": spec["names"]["kind"]},
                "metadata": {"type": "object"},
            }
            schema["required"] = sorted(
                {"apiVersion", "kind", "metadata"} | set(schema.get("required", []))
            )
            yield file_name(spec["group"], version["name"], spec["names"]["kind"]), schema


def file_name(group, version, kind):
    """The name under which kubeconform looks for it, given `{{.ResourceKind}}{{.KindSuffix}}.json`."""
    parts = [kind, group.split(".")[0], version]
    return "-".join(part.lower() for part in parts if part) + ".json"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--openapi", type=pathlib.Path, help="swagger.json of the Kubernetes module")
    arguments.add_argument("--crd", type=pathlib.Path, nargs="*", default=[], help="CRDs as YAML")
    arguments.add_argument("--into", type=pathlib.Path, required=True, help="directory of the schemas")
    given = arguments.parse_args()
    given.into.mkdir(parents=True, exist_ok=True)
    schemas = list(of_openapi(given.openapi)) if given.openapi else []
    for path in given.crd:
        schemas += of_crd(path)
    for name, schema in schemas:
        (given.into / name).write_text(json.dumps(schema))
    if not schemas:
        arguments.error("nothing to convert: give --openapi or --crd")


if __name__ == "__main__":
    main()
