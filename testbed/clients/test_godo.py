"""godo, DigitalOcean's client for Go, works with the simulator."""

import os
import subprocess

from conftest import CLIENTS, FULL


def test_godo_lists_gets_and_fetches_credentials_and_kubeconfigs(simulator):
    environment = os.environ | {
        "DIGITALOCEAN_API_URL": simulator.url,
        "DIGITALOCEAN_TOKEN": FULL,
    }
    done = subprocess.run(
        ["go", "run", "."],
        cwd=CLIENTS / "godo",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Two of the clusters have no credentials yet, and one hands out none without single sign-on.
    total = len(simulator.ids)
    expected = f"listed {total} clusters, fetched credentials and kubeconfig of {total - 3}"
    assert expected in done.stdout
