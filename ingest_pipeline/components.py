"""Components for a Dagster project of your own: the pipeline, and channels declared in YAML.

A project has one `IngestPipelineComponent` and any number of `IngestChannelComponent`s; `dg scaffold defs`
makes their files. See docs/components.md.
"""

from typing import Any

import dagster as dg
from pydantic import Field

from ingest_pipeline.environment import load_environment
from ingest_pipeline.orchestration.build import build_definitions
from ingest_pipeline.orchestration.declared.channel_sensor import build_channel_sensor
from ingest_pipeline.private_files import keep_files_private
from ingest_pipeline.userconfig.declared_channels import read_declaration


class IngestPipelineComponent(dg.Component, dg.Model, dg.Resolvable):
    """The whole pipeline: assets, jobs, schedules and sensors, with the settings of the environment."""

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the definitions of `ingest_pipeline.definitions`."""
        del context
        keep_files_private()
        return build_definitions(load_environment())


class ChannelModel(dg.Model, dg.Resolvable):
    """A Discord channel."""

    id: int = Field(description="The channel's id.")
    name: str | None = Field(None, description="The channel's name, without #.")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Settings of the channel, as under a channel in settings.yaml."
    )


class _ChannelScaffolder(dg.Scaffolder[Any]):
    """Writes a first file, in which the ids and times are to be replaced."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the component's file."""
        dg.scaffold_component(
            request,
            {
                "guild_id": 690000000000000001,
                "channels": [{"id": 1101802452224856174, "name": "team-radio"}],
                "sessions": [
                    {
                        "id": "2026-monza-race",
                        "start": "2026-09-06T13:00:00Z",
                        "end": "2026-09-06T15:30:00Z",
                    }
                ],
            },
        )


@dg.scaffold_with(_ChannelScaffolder)
class IngestChannelComponent(dg.Component, dg.Model, dg.Resolvable):
    """Channels of one guild with their sessions and settings."""

    guild_id: int = Field(description="The guild's id.")
    channels: list[ChannelModel] = Field(
        description="The channels; the first is that of sessions without one."
    )
    sessions: list[dict[str, Any]] = Field(
        default_factory=list, description="Sessions, with the fields of sessions.yaml."
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the sensor that stores what is declared.

        Raises:
            BadInput: What is declared breaks a rule; the message says where and what to write.
            ConfigurationError: A setting of the environment is wrong.
        """
        settings = load_environment()
        channels = [channel.model_dump() for channel in self.channels]
        declaration = read_declaration(context.path.name, self.guild_id, channels, self.sessions)
        return dg.Definitions(sensors=[build_channel_sensor(declaration, settings)])
