"""Another config for an image that an engine has saved."""

import hashlib
import io
import json
import tarfile

from salt_ubiq.engine import saved_image


def saved(config):
    """The tar of an image with one layer, as engines make it."""
    text = json.dumps({"config": config, "rootfs": {"diff_ids": ["sha256:a"]}}).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": ["web:1"], "Layers": ["a/layer.tar"]}]
    contents = {"a/layer.tar": b"layer", name: text, "manifest.json": json.dumps(manifest).encode()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in contents.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    buffer.seek(0)
    return buffer


def test_the_config_is_the_given_one_and_all_else_stays():
    changed = io.BytesIO()
    wanted = {"Env": ["A=b"], "Healthcheck": {"Test": ["CMD", "true"]}}
    saved_image.with_config(saved({"Env": ["HOSTNAME=x"], "Volumes": {"/x": {}}}), changed, wanted)
    changed.seek(0)
    with tarfile.open(fileobj=changed) as tar:
        contents = {each.name: tar.extractfile(each).read() for each in tar}
    (manifest,) = json.loads(contents["manifest.json"])
    assert (manifest["RepoTags"], manifest["Layers"]) == (["web:1"], ["a/layer.tar"])
    assert contents["a/layer.tar"] == b"layer"
    text = contents[manifest["Config"]]
    assert manifest["Config"] == f"{hashlib.sha256(text).hexdigest()}.json"
    assert json.loads(text) == {"config": wanted, "rootfs": {"diff_ids": ["sha256:a"]}}
    assert set(contents) == {"a/layer.tar", "manifest.json", manifest["Config"]}
