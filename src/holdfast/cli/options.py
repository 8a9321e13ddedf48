"""Settings as flags: the flag, its help and its default all come from the field in `settings.Settings`.

Secrets have no flags, because everybody on a machine can read the arguments of its processes.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import SecretStr

from holdfast.errors import ConfigurationError
from holdfast.settings import Settings, env_name, load

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Where it runs": (
        "host",
        "port",
        "data_dir",
        "database_url",
        "admin_username",
        "admin_password",
        "metrics_networks",
    ),
    "Tokens": (
        "secret_key",
        "previous_secret_keys",
        "algorithm",
        "access_token_expire_minutes",
        "issuer",
        "audience",
    ),
    "Sessions": (
        "refresh_lead_seconds",
        "rotation_window_seconds",
        "session_idle_days",
        "session_max_days",
    ),
    "Live connections": (
        "live_grace_seconds",
        "renewal",
        "handshake",
        "proof_timeout_seconds",
        "max_frame_bytes",
        "max_frames_per_second",
        "max_connections_per_user",
        "max_backlog_bytes",
        "ping_interval_seconds",
        "drain_seconds",
    ),
    "Channels": (
        "channels",
        "publishers",
        "history_size",
        "history_seconds",
        "history_bytes",
        "max_channels_per_connection",
    ),
    "Browsers and proxies": ("allowed_origins", "trusted_proxies"),
    "Outside identity provider": (
        "oidc_issuer",
        "oidc_jwks_url",
        "oidc_audience",
        "oidc_algorithms",
        "oidc_cache_seconds",
    ),
    "Logs": ("log_format", "log_level"),
}
"""Every setting, in the order and under the headings that help and docs show."""


class Source(StrEnum):
    """Where a value came from."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says about settings; the rest is the environment's."""

    flags: Mapping[str, str] = field(default_factory=dict)

    def settings(self) -> Settings:
        """The settings that hold.

        Raises:
            ConfigurationError: naming the flag or the variable that has to change.
        """
        try:
            return load(**self.flags)
        except ConfigurationError as error:
            text = str(error)
            for name in self.flags:
                text = text.replace(f"{env_name(name)}: ", f"{flag(name)}: ")
            raise ConfigurationError(text) from None

    def source(self, name: str) -> Source:
        """Where a field's value comes from."""
        if name in self.flags:
            return Source.FLAG
        return Source.ENVIRONMENT if os.environ.get(env_name(name)) is not None else Source.DEFAULT


def flag(name: str) -> str:
    """The flag of a field, as `--live-grace-seconds`."""
    return "--" + name.replace("_", "-")


def is_secret(name: str) -> bool:
    """Whether a field holds something that must not be seen."""
    return SecretStr in _flat(Settings.model_fields[name].annotation)


def kind(name: str) -> str:
    """What a field takes, for people: `NUMBER`, `json|console`, …"""
    annotation = Settings.model_fields[name].annotation
    parts = _flat(annotation)
    choices = [str(part) for part in parts if isinstance(part, str)]
    if choices:
        return "|".join(choices)
    if get_origin(annotation) is tuple:
        return "LIST"
    names = {int: "WHOLE NUMBER", float: "NUMBER"}
    return next((names[part] for part in parts if part in names), "PATH" if "dir" in name else "TEXT")


def default_text(name: str) -> str:
    """A field's default as one would type it; empty for none."""
    default = Settings.model_fields[name].default
    if default is None or default == ():
        return ""
    if isinstance(default, tuple):
        return ",".join(str(item) for item in default)
    return f"{default:g}" if isinstance(default, float) else str(default)


def takes_settings(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command a flag for each of these fields; its first parameter becomes the `Given`."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
        context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)

        @functools.wraps(command)
        def run(ctx: typer.Context, **values: Any) -> None:
            texts = {name: values.pop(name) for name in names}
            flags = {name: text for name, text in texts.items() if _typed(ctx, name)}
            command(Given(flags), **values)

        parameters = [
            context,
            *(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own),
            *(_option(name) for name in names),
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # how inspect lets a signature be told
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def flagged(*groups: str) -> tuple[str, ...]:
    """The fields of these groups (of all, if none is named) that have a flag."""
    wanted = groups or tuple(GROUPS)
    return tuple(name for group in wanted for name in GROUPS[group] if not is_secret(name))


def _option(name: str) -> inspect.Parameter:
    description = Settings.model_fields[name].description or ""
    panel = next(group for group, names in GROUPS.items() if name in names)
    default = default_text(name) or None
    info = typer.Option(
        flag(name),
        envvar=env_name(name),
        metavar=kind(name),
        help=description.replace("[", "\\["),
        show_default=default is not None,
        rich_help_panel=panel,
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[str | None, info]
    )


def _typed(ctx: typer.Context, name: str) -> bool:
    """Whether it was typed; what the environment says, `Settings` reads for itself."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _flat(annotation: Any) -> list[Any]:
    """The types and literal values inside an annotation."""
    origin = get_origin(annotation)
    if origin is Literal:
        return list(get_args(annotation))
    if origin in (Union, UnionType, tuple, Annotated):
        return [part for argument in get_args(annotation) for part in _flat(argument)]
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return [member.value for member in annotation]
    return [annotation]
