"""Open what every command needs: the configuration, the kernel repository, the campaign, patchbot's own folder.

Each is opened only when asked for, so that `patchbot checks` works without a kernel and `scan` without an author.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from ..bundle import bundled
from ..campaigns import campaign_names, load_campaign
from ..config import CampaignConfig, Config, listed, load, located, suggestion
from ..errors import ConfigError, MissingTool, UserError
from ..git.commits import author_of
from ..git.grep import GrepCache
from ..git.repo import Repo, Scratch
from ..paths import cache_dir, expanded, refused
from ..places import read_toml
from ..sandbox import Sandbox
from ..series.campaign import Campaign, switched, unknown_steps
from ..series.tree import Tree
from ..store import Answers
from ..terminal import Terminal, complain, write
from ..trust import judge
from ..turns import Turn
from ..workers import spread

P = ParamSpec("P")


@dataclass(frozen=True)
class Given:
    """The options that several commands share, as given; each command takes its own options as parameters."""

    C: str | None = None
    config: str | None = None
    kernel: str | None = None
    base: str | None = None
    json: bool = False
    verbose: bool = False
    quiet: bool = False
    no_color: bool = False
    campaign: str | None = None
    with_: str | None = None
    without: str | None = None
    update_checkout: bool = False


@dataclass
class Session:
    """One invocation: shared options, and what follows from them. `err` is for progress and logs, `out` for results.

    `run` runs patchbot with other arguments and returns its exit code; `jobs` is how many programs a codemod may start.
    """

    args: Given
    out: Terminal
    err: Terminal
    run: Callable[[Sequence[str]], int]
    jobs: int = 0
    _trees: dict[str, Tree] = field(default_factory=dict)
    _repos: dict[Path, Repo] = field(default_factory=dict)

    def close(self) -> None:
        """End the processes that read the repositories."""
        for one in (*self._repos.values(), *(self.__dict__[n] for n in {"scratch"} & self.__dict__.keys())):
            one.close()

    @cached_property
    def cwd(self) -> Path:
        """The folder that relative paths are relative to."""
        try:
            here = Path.cwd()
        except FileNotFoundError:
            raise UserError("the current folder was deleted; go to one that exists") from None
        where = expanded(self.args.C or ".")
        if not where.is_dir():
            raise UserError(f"-C {where}: no such directory")
        return (here / where).resolve()

    @cached_property
    def config(self) -> Config:
        """patchbot.toml as it was found; a campaign that is known needs no table in it."""
        config, name = self._written, self.args.campaign
        if name and name not in config.campaigns and ".." not in name and name in campaign_names():
            return replace(config, campaigns={**config.campaigns, name: CampaignConfig(name)})
        return config

    @cached_property
    def _written(self) -> Config:
        """patchbot.toml: --config, ./patchbot.toml, the kernel repository's, else the defaults alone.

        The file is named, and so are keys of a file that was merely found and that do not count.
        """
        defaults = bundled("patchbot.toml")
        if given := self.args.config:
            file = self.cwd / expanded(given)
            config = load(file, defaults)
            self.say(f"configuration: {file}")
            self.insist_campaigns(config)
            return config
        found = self.found_config
        if found is None:
            return load(None, defaults)
        own = read_toml(found)
        standing = judge(found, own)
        # Relative paths start at the folder of the file itself, so a link to a trusted file cannot redirect them.
        config = load(found.resolve(), defaults, own, trusted=standing.trusted)
        self.say(f"configuration: {found}" + ("" if standing.trusted else f" (not trusted: {standing.why})"))
        if not config.ignored:
            self.insist_campaigns(config)
        for key in config.ignored:
            complain(f"{found}: {key} is ignored until `patchbot trust {shlex.quote(str(found))}`")
        return config

    def insist_campaigns(self, config: Config) -> None:
        """Raise ConfigError for a table of a campaign that is nearly the name of one that there is."""
        known = campaign_names(config.campaigns.values())
        for name in config.campaigns:
            if name not in known and (hint := suggestion(name, known)):
                text = f"[campaigns.{name}]: there is no such campaign{hint} (known: {listed(known)})"
                raise located(ConfigError(text, f"campaigns.{name}"), config.file)

    @cached_property
    def found_config(self) -> Path | None:
        """The patchbot.toml of the current folder, else that of the kernel repository."""
        here = self.cwd / "patchbot.toml"
        if here.is_file():  # in patchbot's own checkout it holds the defaults
            return None if here.samefile(bundled("patchbot.toml")) else here
        kernel = self.args.kernel
        where = self.cwd / expanded(kernel) if kernel else self.cwd
        try:
            own = self.opened(where).common_dir / "patchbot.toml"
        except (UserError, MissingTool):  # without git, doctor says so
            return None
        return own if own.is_file() else None

    @cached_property
    def repo(self) -> Repo:
        """The kernel repository: --kernel, kernel.path, else the one around the current folder."""
        given = self.args.kernel
        return self.opened(self.cwd / expanded(given) if given else self.config.kernel_path or self.cwd)

    def opened(self, where: Path) -> Repo:
        """Return the repository at or above a folder; raise UserError if there is none."""
        if where not in self._repos:
            self._repos[where] = found = Repo.open(where)
            found.update_checkouts = self.args.update_checkout
            found.answers = None if found.shallow else Answers(folder_of(found) / "answers.sqlite")
        return self._repos[where]

    @cached_property
    def sandbox(self) -> Sandbox:
        """How the scripts of the kernel tree run; raise UserError if they need a sandbox and there is none."""
        sandbox = Sandbox(self.config.run.sandbox)
        if (why := sandbox.lacking()) and self.args.verbose:
            self.say(f"the tree's own scripts run without a sandbox: {why}")
        return sandbox

    @cached_property
    def base(self) -> str:
        """The commit that the series is based on: --base, kernel.base, else HEAD."""
        return self.repo.resolve(self.args.base or self.config.kernel_base or "HEAD")

    @cached_property
    def configured(self) -> str | None:
        """The commit that kernel.base names, else HEAD; None where that is no commit."""
        with suppress(UserError):
            return self.repo.resolve(self.config.kernel_base or "HEAD")
        return None

    @cached_property
    def upstream(self) -> tuple[str, ...]:
        """The commit that --base or kernel.base names; HEAD is where a person is, and that may be on the draft."""
        rev = self.args.base or self.config.kernel_base or "HEAD"
        with suppress(UserError):
            return () if rev.startswith(("HEAD", "@")) else (self.repo.resolve(rev),)
        return ()

    @cached_property
    def work(self) -> Path:
        """Patchbot's own folder for this repository: caches, build trees, logs. Nothing in it is a person's."""
        where = folder_of(self.repo)
        where.mkdir(parents=True, exist_ok=True)
        if not os.access(where, os.W_OK | os.X_OK):
            raise refused(PermissionError(errno.EACCES, "cannot be written", str(where)))
        return where

    def spread(self, cluster: str | None, insecure: bool) -> AbstractContextManager[None]:
        """Let the workers of a scheduler, by default that of patchbot.toml, run the programs of codemods."""
        return spread(self.config.run.cluster if cluster is None else cluster, insecure=insecure)

    @cached_property
    def scratch(self) -> Scratch:
        """Patchbot's own bare repository that borrows the kernel repository's objects."""
        return Scratch.at(self.work / "scratch.git", self.repo)

    @cached_property
    def campaign_config(self) -> CampaignConfig:
        """The campaign's table, the options of the command line over it, what the campaign itself says below it."""
        config, own = self._switched, self.campaign
        target, owners = config.target or own.target, (*config.owners, *own.owners)
        return replace(config, target=target, owners=owners, jobs=self.jobs or config.jobs)

    @cached_property
    def _switched(self) -> CampaignConfig:
        """The campaign's table with --with and --without over it."""
        config = self.config.campaign(self.args.campaign)
        return switched(config, commas(self.args.with_), commas(self.args.without))

    @cached_property
    def campaign(self) -> Campaign:
        """The campaign itself."""
        return load_campaign(self._switched)

    def tree(self, commit: str | None = None) -> Tree:
        """Return a revision as the engine reads it; raise UserError if it is not a kernel."""
        commit = commit or self.base
        if commit not in self._trees:
            tree = Tree(self.repo, commit, {}, GrepCache(self.work / "grep.sqlite"))
            _ = tree.version
            self._trees[commit] = tree
        return self._trees[commit]

    def insist(self, *, author: bool = False, base: bool = False, steps: bool = False, rev: str | None = None) -> None:
        """Raise a UserError that names all that is wrong of what a command needs, for a person to mend at once.

        That is the campaign and, if they are asked for, its steps, the author, the base and another revision.
        """
        questions: list[Callable[[], object]] = [lambda: self.config.campaign(self.args.campaign)]
        questions += [self.insist_steps] if steps else []
        questions += [lambda: author_of(self.repo, self.config.author)] if author else []
        questions += [self.tree] if base else []
        questions += [lambda: self.repo.resolve(rev)] if rev else []
        found: dict[str, UserError] = {}
        for question in questions:
            try:
                question()
            except UserError as error:
                config = self.__dict__.get("config")
                told = located(error, config.file) if config and isinstance(error, ConfigError) else error
                found.setdefault(str(told), told)
        if len(found) == 1:
            raise next(iter(found.values()))
        if found:
            lines = "".join("\n  " + text.replace("\n", "\n    ") for text in found)
            raise UserError(f"{len(found)} things have to be put right first:{lines}")

    def insist_steps(self) -> None:
        """Raise UserError that names each step which is switched and does not exist."""
        table = self.config.campaign(self.args.campaign)
        options = (("--with", self.args.with_), ("--without", self.args.without))
        found = [
            f"{option}: {text}" for option, given in options for text in unknown_steps(self.campaign, commas(given))
        ]
        if found:
            raise UserError("; ".join(found))
        for key, names in (("with", table.with_), ("without", table.without)):
            if found := unknown_steps(self.campaign, names):
                raise ConfigError("; ".join(found), f"campaigns.{table.name}.{key}")

    def say(self, text: str) -> None:
        """Print a line for a person to stderr."""
        if not self.args.quiet:
            self.err.tell(text)

    def patchbot(self, where: Path, *argv: str) -> int:
        """Print and run a patchbot command in a folder, as a person would type it there."""
        self.say(f"\n$ patchbot {shlex.join(argv)}")
        also = [flag for flag, on in (("-q", self.args.quiet), ("--no-color", self.args.no_color)) if on]
        return self.run([argv[0], "-C", str(where), *argv[1:], *also])

    def show(self, *texts: str) -> None:
        """Print lines of the result to stdout; a command to copy goes to `out.say`, which breaks nothing."""
        for text in texts:
            self.out.tell(text)

    def emit(self, document: Mapping[str, Any]) -> bool:
        """With --json print `document` and return True."""
        if not self.args.json:
            return False
        # cached_property stores what was read: a command that reads no patchbot.toml names none.
        used = {"config": self.config.file} if "config" in self.__dict__ else {}
        write(json.dumps({"schema": 1, **used, **document}, default=str) + "\n")
        return True


def folder_of(repo: Repo) -> Path:
    """Return patchbot's own folder for a repository."""
    return cache_dir() / "repos" / repo.key


def alone(
    *, author: bool = False, base: bool = False, steps: bool = False
) -> Callable[[Callable[Concatenate[Session, str, P], int]], Callable[Concatenate[Session, P], int]]:
    """Make a command have the draft of its campaign alone while it runs; a command that only reads does not wait.

    What it needs, as `insist` takes it, is checked first.
    """
    return lambda run: having_alone(run, author, base, steps)


def having_alone(
    run: Callable[Concatenate[Session, str, P], int], author: bool, base: bool, steps: bool
) -> Callable[Concatenate[Session, P], int]:
    """Return a command that has the draft alone."""

    def execute(session: Session, /, *args: P.args, **own: P.kwargs) -> int:
        onto = own.get("onto")
        session.insist(author=author, base=base, steps=steps, rev=onto if isinstance(onto, str) else None)
        name = session.config.campaign(session.args.campaign).name
        dry = own.get("dry_run", False)
        turn = nullcontext() if dry else Turn(session.work / f"{name}.lock", f"the draft of {name}", session.say)
        with turn:
            return run(session, name, *args, **own)

    return execute


def commas(value: str | None) -> tuple[str, ...]:
    """Return the parts of a comma-separated option."""
    return tuple(part.strip() for part in (value or "").split(",") if part.strip())


def processes(text: str) -> int:
    """Return how many may run at once; raise ArgumentTypeError for none."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


def add_cluster(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the options about a cluster, on which `what` is run."""
    parser.add_argument(
        "--cluster", metavar="ADDRESS", help=f"run {what} on the workers of this scheduler of dask.distributed"
    )
    parser.add_argument("--insecure", action="store_true", help="let the scheduler be reached by plain tcp")
