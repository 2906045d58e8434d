"""What an administrator would carry to the site for kubeadm, made from the programs and images of our
own bundle, so that both installers bring the very same ones. Making it is not part of any measured time.
"""

import json
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
REGISTRY = "registry.k8s.io"
# kubeadm's names of images, and ours. Those kubeadm does not know keep our names.
IMAGES = {
    "kube-apiserver": "kube-apiserver",
    "kube-controller-manager": "kube-controller-manager",
    "kube-scheduler": "kube-scheduler",
    "kube-proxy": "kube-proxy",
    "coredns/coredns": "coredns",
    "pause": "pause",
    "etcd": "etcd",
}
PROGRAMS = {
    "containerd": "usr/local/bin",
    "runc": "usr/local/bin",
    "kubelet": "usr/local/bin",
    "kubectl": "usr/local/bin",
    "cni-plugins": "opt/cni/bin",
}
FLANNEL = f"{REGISTRY}/flannel:bench"


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


class Payload:
    """A directory with host/ (files for every host), images.tar and kubeadm's configuration."""

    def __init__(self, directory, builder, root, iso, key, pub):
        self.directory = Path(directory)
        self.builder, self.root, self.iso, self.key, self.pub = builder, root, iso, key, pub
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self.programs()
        self.images()
        self.configuration()

    def programs(self):
        kubeadm = self.directory / "kubeadm.iso"
        run(self.builder, "build", "--catalog", self.root / "images/bench/catalog.yaml", "--key", self.key, "--output", kubeadm)
        self.extract(kubeadm, "kubeadm", "usr/local/bin")
        for name, place in PROGRAMS.items():
            self.extract(self.iso, name, place)
        for source in (HERE / "host").rglob("*"):
            if source.is_file():
                target = self.directory / "host" / source.relative_to(HERE / "host")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)

    def extract(self, iso, name, place):
        run(self.builder, "extract", iso, name, "--to", self.directory / "host" / place, "--trust", self.pub)

    def images(self):
        """One OCI layout with all images under the names kubeadm wants, as a tar for `ctr image import`."""
        mounted, layout = self.directory / "iso", self.directory / "layout"
        run("xorriso", "-osirrox", "on", "-indev", self.iso, "-extract", "/", mounted)
        manifest = json.loads(run(self.builder, "inspect", self.iso, "--trust", self.pub, "--output", "json"))
        self.kubernetes = manifest["kubernetesVersion"]
        ours = {component["name"]: component for component in manifest["components"]}
        kubeadm = self.directory / "host/usr/local/bin/kubeadm"
        listed = run(kubeadm, "config", "images", "list", "--kubernetes-version", f"v{self.kubernetes}")
        for reference in listed.split():
            name = reference.removeprefix(f"{REGISTRY}/").rsplit(":", 1)[0]
            self.copy(mounted, ours[IMAGES[name]], layout, reference)
        self.copy(mounted, ours["flannel"], layout, FLANNEL)
        self.pause = next(line for line in listed.split() if "/pause:" in line)
        run("tar", "-C", layout, "-cf", self.directory / "images.tar", ".")
        # containerd keeps the sandbox image by its name.
        config = self.directory / "host/etc/containerd/config.toml"
        config.write_text(config.read_text().replace("@PAUSE@", self.pause))
        for directory in (mounted, layout):
            run("chmod", "-R", "u+w", directory)
            shutil.rmtree(directory)

    @staticmethod
    def copy(mounted, component, layout, reference):
        name = f"{component['name']}:{component['version']}"
        run("skopeo", "copy", "--quiet", "--preserve-digests", f"oci:{mounted}:{name}", f"oci:{layout}:{reference}")

    def configuration(self):
        common = {"@VERSION@": self.kubernetes, "@FLANNEL@": FLANNEL}
        for source in HERE.glob("*.yaml"):
            text = source.read_text()
            for word, value in common.items():
                text = text.replace(word, value)
            (self.directory / source.name).write_text(text)
