"""Writes the operator's files anew, from checked values only, and the scenario around them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.addresses import INTERFACE
from harness.mailserver.image import NAME
from harness.reproduce.allowed import CONFIG
from harness.reproduce.compose import SERVICE
from harness.reproduce.config_folder import Config
from harness.reproduce.model import Mount, Port, Wanted
from harness.reproduce.scrub import DOMAIN, HOST
from harness.scenario import Scenario
from harness.site import PORT_OF

ENV: str = "mailserver.env"
VARIANT = "as_sent"
FOLDER = "reported"


def home(wanted: Wanted) -> str:
    """The operator's folder on the machine."""
    return "/srv/reported" if wanted.rootful else "~/mailserver"


def operators_files(wanted: Wanted, config: Config) -> dict[str, str]:
    """The operator's files, by their names in the scenario's folder."""
    files = {f"config/{name}": text for name, text in config.files.items()}
    files[ENV] = "".join(f"{key}={value}\n" for key, value in wanted.settings.items())
    if wanted.launcher in ("compose", "podman_compose"):
        files["compose.yaml"] = _compose(wanted)
    elif wanted.launcher == "quadlet":
        files[f"{wanted.unit}.container"] = _quadlet(wanted)
        if wanted.net.name:
            net = wanted.net
            files[f"{net.name}.network"] = (
                "[Network]\n" + "IPv6=true\n" * net.ipv6 + "Internal=true\n" * net.internal
            )
    else:
        name = "podman-create.sh" if wanted.launcher == "generated_unit" else "podman-run.sh"
        files[name] = _command(wanted)
    return files


def _compose(wanted: Wanted) -> str:
    import yaml

    service: dict[str, Any] = {"image": NAME, "container_name": wanted.container}
    for key in ("hostname", "domainname"):
        if getattr(wanted, key):
            service[key] = getattr(wanted, key)
    service["env_file"] = ENV
    service["environment"] = wanted.inline
    service["ports"] = [_port(port) for port in wanted.ports]
    service["volumes"] = [_mount(mount, "./") for mount in wanted.mounts]
    for key, values in (("cap_add", wanted.cap_add), ("cap_drop", wanted.cap_drop)):
        if values:
            service[key] = values
    options = ["label=disable"] * wanted.label_disable
    options += ["no-new-privileges"] * wanted.no_new_privileges
    if options:
        service["security_opt"] = options
    net = wanted.net
    top: dict[str, Any] = {"services": {SERVICE: service}}
    if net.kind in ("pasta", "slirp4netns"):
        service["network_mode"] = _mode(wanted)
    else:
        about: dict[str, Any] = {}
        if net.ipv6:
            about["enable_ipv6"] = True
        if net.internal:
            about["internal"] = True
        if net.subnets:
            about["ipam"] = {"config": [{"subnet": each} for each in net.subnets]}
        if net.mtu:
            about["driver_opts"] = {"mtu": str(net.mtu)}
        if net.name:
            service["networks"] = [net.name]
        if about or net.name:
            top["networks"] = {net.name or "default": about}
    if wanted.userns:
        service["userns_mode"] = wanted.userns
    if wanted.restart:
        service["restart"] = wanted.restart
    service["stop_grace_period"] = f"{wanted.stop_timeout or 60}s"
    volumes = sorted({mount.source for mount in wanted.mounts if mount.named})
    if volumes:
        top["volumes"] = {name: {} for name in volumes}
    # compose would fill in what looks like a variable, with the machine's environment.
    text: str = yaml.safe_dump(top, sort_keys=False, width=200, allow_unicode=True)
    return text.replace("$", "$$")


def _quadlet(wanted: Wanted) -> str:
    lines = ["[Container]", f"ContainerName={wanted.container}", f"Image={NAME}"]
    lines += [f"HostName={wanted.hostname}"] if wanted.hostname else []
    if wanted.net.name:
        lines.append(f"Network={wanted.net.name}.network")
    elif wanted.net.kind is not None and not (wanted.rootful and wanted.net.kind == "bridge"):
        lines.append(f"Network={_mode(wanted)}")
    lines += [f"PublishPort={_port(port)}" for port in wanted.ports]
    base = "%h/mailserver/" if not wanted.rootful else f"{home(wanted)}/"
    lines += [f"Volume={_mount(mount, base)}" for mount in wanted.mounts]
    # systemd reads `%` and `\` as its own; the latter no setting has.
    lines += [
        'Environment="' + f"{key}={value}".replace("%", "%%").replace('"', '\\"') + '"'
        for key, value in wanted.inline.items()
    ]
    lines.append(f"EnvironmentFile={base}{ENV}")
    lines += [f"AddCapability={each}" for each in wanted.cap_add]
    lines += [f"DropCapability={each}" for each in wanted.cap_drop]
    lines += [f"{key}={value}" for key, value in wanted.user_maps]
    lines += [f"UserNS={wanted.userns}"] if wanted.userns else []
    lines += ["SecurityLabelDisable=true"] * wanted.label_disable
    lines += ["NoNewPrivileges=true"] * wanted.no_new_privileges
    lines.append(f"StopTimeout={wanted.stop_timeout or 60}")
    if wanted.restart:
        lines += ["", "[Service]", f"Restart={wanted.restart}"]
    target = wanted.wanted_by or ("multi-user.target" if wanted.rootful else "default.target")
    lines += ["", "[Install]", f"WantedBy={target}"]
    return "\n".join(lines) + "\n"


def _command(wanted: Wanted) -> str:
    words = ["podman", "create"] if wanted.launcher == "generated_unit" else ["podman", "run", "-d"]
    words += ["--name", wanted.container]
    words += ["--hostname", wanted.hostname] if wanted.hostname else []
    if wanted.net.name:
        words += ["--network", wanted.net.name]
    elif wanted.net.kind is not None and not (wanted.rootful and wanted.net.kind == "bridge"):
        words += ["--network", _mode(wanted)]
    for port in wanted.ports:
        words += ["--publish", _port(port)]
    words += ["--env-file", ENV]
    for key, value in wanted.inline.items():
        words += ["--env", f"{key}={value}"]
    for each in wanted.cap_add:
        words += ["--cap-add", each]
    for each in wanted.cap_drop:
        words += ["--cap-drop", each]
    for key, value in wanted.user_maps:
        words += [f"--{key.lower()}", value]
    words += ["--userns", wanted.userns] if wanted.userns else []
    words += ["--security-opt", "label=disable"] * wanted.label_disable
    words += ["--security-opt", "no-new-privileges"] * wanted.no_new_privileges
    words += ["--restart", wanted.restart] if wanted.restart else []
    words += ["--stop-timeout", str(wanted.stop_timeout or 60)]
    mounts = "".join(
        " --volume " + ("" if mount.named else '"$PWD"/') + shlex.quote(_mount(mount, ""))
        for mount in wanted.mounts
    )
    return f"{shlex.join(words)}{mounts} {shlex.quote(NAME)}\n"


def _port(port: Port) -> str:
    host = str(port.host) if port.host else ""
    address = f"[{port.address}]" if ":" in port.address else port.address
    outer = f"{address}:{host}:" if address else f"{host}:" if host else ""
    return f"{outer}{port.container}"


def _mount(mount: Mount, base: str) -> str:
    source = mount.source if mount.named else f"{base}{mount.source}"
    return ":".join([source, mount.target, *([",".join(mount.options)] if mount.options else [])])


def _mode(wanted: Wanted) -> str:
    net = wanted.net
    return f"{net.kind}:{','.join(net.options)}" if net.options else str(net.kind)


def scenario_table(
    wanted: Wanted,
    config: Config,
    near: Scenario,
    certificates: Mapping[str, str],
    interface: str,
    own_sysctl: bool,
) -> dict[str, Any]:
    """What `scenario.toml` says of it.

    Args:
        wanted: what is deployed.
        config: the config folder.
        near: the nearest scenario, from which the expected addresses are.
        certificates: host name → folder, relative to the operator's.
        interface: the machine's network interface.
        own_sysctl: whether low ports are let through, as the report does not complain of them.
    """
    base = home(wanted)
    config_source = next(
        (m.source for m in wanted.mounts if m.target == CONFIG and not m.named), "config"
    )
    place = {ENV: f"{base}/{ENV}", "config": f"{base}/{config_source}"}
    units = "/etc/containers/systemd" if wanted.rootful else "~/.config/containers/systemd"
    for name in operators_files(wanted, config):
        if name.endswith((".container", ".network")):
            place[name] = f"{units}/{name}"
        elif name.endswith((".yaml", ".sh")) and "/" not in name:
            place[name] = f"{base}/{name}"
    service_of = {port: service for service, port in PORT_OF.items()}
    publish: dict[str, int] = {}
    for port in wanted.ports:
        if port.container in service_of and (port.host or 0) not in (0, *publish.values()):
            publish.setdefault(service_of[port.container], port.host)
    hosts = list(certificates) or [HOST]
    return {
        "title": f"As reported: {wanted.source}",
        "launcher": wanted.launcher,
        "network": wanted.net.kind or "pasta",
        "user": "root" if wanted.rootful else "rootless",
        **({"unit": wanted.unit} if wanted.unit else {}),
        "container": wanted.container,
        "hostname": hosts[0],
        "env_file": ENV,
        **({"interface": interface} if interface != INTERFACE else {}),
        **({"alias": config.alias} if config.alias else {}),
        "publish": publish,
        "place": place,
        "certificates": {host: f"{base}/{folder}" for host, folder in certificates.items()},
        "accounts": [
            {"address": f"alice@{DOMAIN}", "password": "correct-horse-1"},
            {"address": f"bob@{DOMAIN}", "password": "battery-staple-2"},
        ],
        "prepare": _steps(wanted, sorted(publish.values()), own_sysctl),
        "client_address": [
            {"of": rule.of, "is": rule.is_, "why": rule.why} for rule in near.table.client_address
        ],
        "variants": {
            VARIANT: {"expect": {"why": "nothing is expected: it is held against the report"}}
        },
    }


def _steps(wanted: Wanted, ports: list[int], own_sysctl: bool) -> list[dict[str, str]]:
    steps = []
    folders = sorted({mount.source for mount in wanted.mounts if not mount.named})
    if folders:
        made = " ".join(f"{home(wanted)}/{folder}" for folder in folders)
        why = "podman does not make the folders that it mounts"
        steps.append({"as": "operator", "why": why, "run": f"mkdir -p {made}"})
    if not wanted.rootful:
        low = min(ports, default=1024)
        if low < 1024 and own_sysctl:
            key = "net.ipv4.ip_unprivileged_port_start"
            why = f"else the user's forwarder cannot bind port {low}"
            steps.append({"as": "root", "why": why, "run": f"sysctl -q {key}={low}"})
        if ports:
            opened = " ".join(f"--add-port={port}/tcp" for port in ports)
            why = "firewalld's default zone refuses rootless published ports from outside"
            steps.append({"as": "root", "why": why, "run": f"firewall-cmd -q {opened}"})
        why = "without lingering the user's containers end with the last session"
        steps.append({"as": "root", "why": why, "run": "loginctl enable-linger mailop"})
    if wanted.net.name and wanted.launcher in ("run", "generated_unit"):
        options = "--ipv6 " * wanted.net.ipv6 + "--internal " * wanted.net.internal
        run = f"podman network create {options}{wanted.net.name}"
        steps.append({"as": "operator", "why": "the command names this network", "run": run})
    return steps


def as_toml(table: Mapping[str, Any], prefix: str = "") -> str:
    """A table as TOML, nested tables last."""
    plain, nested = "", ""
    for key, value in table.items():
        name = json.dumps(key)
        if isinstance(value, dict):
            path = f"{prefix}{name}"
            nested += f"\n[{path}]\n{as_toml(value, f'{path}.')}"
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n    ".join(
                "{ " + ", ".join(f"{json.dumps(k)} = {_scalar(v)}" for k, v in row.items()) + " }"
                for row in value
            )
            plain += f"{name} = [\n    {rows},\n]\n"
        else:
            plain += f"{name} = {_scalar(value)}\n"
    return plain + nested


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write files into a folder, which is made."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
