"""One Space at the hub: what is there, and how it is brought to what is wanted. Each step is idempotent.

The hub's own client goes over the wire; only the names of secrets are asked for by a route that it does not
have yet.
"""

from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import requests
from huggingface_hub import HfApi, SpaceInfo, SpaceRuntime, get_token
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

from deploy.space.errors import TOKENS, PushError, explained
from deploy.space.prices import PRICES
from deploy.space.settings import PRIVATE

OURS = "personaplex_ui/cli.py"
"""A file by which a Space of this app is known."""

EMPTY = {".gitattributes", "README.md"}
FIRST_COMMIT = "initial commit"
"""What the hub itself puts into a new Space, and what it calls that."""

SDK = "gradio"
TIMEOUT_SEC = 60.0
UNKNOWN_ROUTE = (404, 405)


class SpaceHub:
    """``say``: gets one line for each step. ``token``: None for the one of ``hf auth login``."""

    def __init__(self, endpoint: str, token: str | None, name: str, say: Callable[[str], None]) -> None:
        self._api = HfApi(endpoint=endpoint, token=token)
        self._endpoint = endpoint
        self._token = token
        self._say = say
        self.repo_id = name

    @contextmanager
    def _step(self, doing: str) -> Generator[None]:
        """Raises:
        PushError: whatever the hub or the network refuses, as a sentence."""
        try:
            yield
        except HFValidationError as error:
            raise PushError(f"{self.repo_id} cannot be the name of a Space: {error}") from error
        except (requests.RequestException, OSError, ValueError, KeyError, RuntimeError) as error:
            raise PushError(explained(error, doing, self.repo_id)) from error

    # Who asks, and what is there ------------------------------------------------------------------

    def sign_in(self, hardware: str | None) -> None:
        """Checks the token, and completes the Space's name with the account's."""
        with self._step("looking whose token it is"):
            account = cast(dict[str, Any], self._api.whoami())
        user = str(account.get("name", ""))
        if "/" not in self.repo_id:
            self.repo_id = f"{user}/{self.repo_id}"
        owner = self.repo_id.partition("/")[0]
        found = [account, *cast(list[dict[str, Any]], account.get("orgs") or [])]
        payer = next((each for each in found if each.get("name") == owner), None)
        if payer is None:
            raise PushError(
                f"The token is {user}'s, who is not in {owner}; choose a name as in {user}/personaplex."
            )
        token = account.get("auth", {}).get("accessToken", {})
        if token.get("role") == "read":
            raise PushError(
                f"The token may only read. Make one of the type Write at {TOKENS} and give it as "
                "HF_PUSH_TOKEN; HF_TOKEN, which the Space gets, can stay a reading one."
            )
        if payer.get("canPay") is False and PRICES.get(hardware or "", 1.0) > 0 and hardware:
            raise PushError(
                f"{hardware} costs money, and {owner} has no means of payment: add one at "
                "https://huggingface.co/settings/billing, or choose --hardware cpu-basic."
            )
        self._say(f"Signed in as {user}, Space {self.repo_id}")

    def look(self, to_delete: bool) -> SpaceInfo | None:
        """The Space, if there is one. To be filled, it may also be one that nobody has put anything into, as
        after a push that broke off.

        Raises:
            PushError: it is something else than this app.
        """
        with self._step("looking for the Space"):
            try:
                info = self._api.space_info(self.repo_id)
            except RepositoryNotFoundError:
                return None
        files = {each.rfilename for each in info.siblings or []}
        if OURS in files:
            return info
        if to_delete:
            raise PushError(
                f"Nothing was deleted: the Space {self.repo_id} ({info.sdk}) does not hold this app. If you "
                f"want to delete it, do it at https://huggingface.co/spaces/{self.repo_id}/settings."
            )
        if info.sdk != SDK or not files <= EMPTY or self._has_been_edited():
            raise PushError(
                f"The name {self.repo_id} is taken by another Space of yours ({info.sdk}); choose another "
                "name, or delete it."
            )
        return info

    def _has_been_edited(self) -> bool:
        with self._step("looking at its commits"):
            commits = self._api.list_repo_commits(self.repo_id, repo_type="space")
        return [commit.title for commit in commits] != [FIRST_COMMIT]

    # What is changed ------------------------------------------------------------------------------

    def create(self, hardware: str, sleep_sec: int | None, private: bool) -> None:
        with self._step("making the Space"):
            self._api.create_repo(
                self.repo_id,
                repo_type="space",
                space_sdk=SDK,
                space_hardware=cast(Any, hardware),
                space_sleep_time=sleep_sec,
                private=private or None,
            )
        self._say(f"Space {self.repo_id}: made, on {hardware}")

    def set_hardware(self, hardware: str | None, sleep_sec: int | None) -> None:
        """None: as it is."""
        with self._step("looking at its hardware"):
            runtime = self.runtime()
        now = runtime.requested_hardware or runtime.hardware
        if hardware is not None and now != hardware:
            with self._step(f"asking for {hardware}"):
                self._api.request_space_hardware(self.repo_id, cast(Any, hardware), sleep_time=sleep_sec)
            self._say(f"Hardware {hardware}: asked for")
        elif sleep_sec is not None and runtime.sleep_time != sleep_sec:
            with self._step("setting the sleep time"):
                self._api.set_space_sleep_time(self.repo_id, sleep_sec)
            self._say(f"Sleep time: {sleep_sec // 60} minutes")
        else:
            self._say(f"Hardware {now}: is there")

    def set_storage(self, storage: str) -> None:
        with self._step("looking at its storage"):
            there = self.runtime().storage
        if there == storage:
            self._say(f"Storage {storage}: is there")
            return
        with self._step("asking for storage (if the hub has no such tiers any more, leave --storage out)"):
            self._api.request_space_storage(self.repo_id, cast(Any, storage))
        self._say(f"Storage {storage}: asked for")

    def set_variables(self, variables: Mapping[str, str], secret: Collection[str]) -> None:
        """Those called as one of ``secret`` are removed, which the hub wants before a secret of that name is
        set."""
        with self._step("looking at its variables"):
            there = {name: each.value for name, each in self._api.get_space_variables(self.repo_id).items()}
        for name, value in variables.items():
            if there.get(name) == value:
                self._say(f"Variable {name}: is there")
                continue
            with self._step(f"setting the variable {name}"):
                self._api.add_space_variable(self.repo_id, name, value)
            self._say(f"Variable {name}: set")
        for name in there:
            if name in secret:
                with self._step(f"removing the variable {name}, which will be a secret"):
                    self._api.delete_space_variable(self.repo_id, name)
                self._say(f"Variable {name}: removed, since it will be a secret")
            elif name in PRIVATE:
                self._say(
                    f"Variable {name}: is public; set {name} and run this again, which makes it a secret"
                )

    def set_secrets(self, secrets: Mapping[str, str], renew: bool) -> None:
        """The hub never tells the value of a secret, so one that is there is given again only if asked to:
        each restarts the Space."""
        there = self._secret_names()
        for name, value in secrets.items():
            if name in there and not renew:
                self._say(f"Secret {name}: is there (--renew-secrets gives it again)")
                continue
            with self._step(f"setting the secret {name}"):
                self._api.add_space_secret(self.repo_id, name, value)
            self._say(f"Secret {name}: set")

    def _secret_names(self) -> set[str]:
        with self._step("looking at the names of its secrets"):
            answer = requests.get(
                f"{self._endpoint}/api/spaces/{self.repo_id}/secrets",
                headers={"Authorization": f"Bearer {self._token or get_token()}"},
                timeout=TIMEOUT_SEC,
            )
            if answer.status_code in UNKNOWN_ROUTE:
                return set()
            answer.raise_for_status()
            return set(cast(dict[str, object], answer.json()))

    def upload(self, folder: Path, message: str, before: str | None) -> bool:
        """Makes the Space's files those of ``folder``, in one commit; none if nothing has changed.
        ``before``: its last commit. Returns whether there is a new one."""
        with self._step("uploading the files"):
            commit = self._api.upload_folder(
                repo_id=self.repo_id,
                repo_type="space",
                folder_path=folder,
                delete_patterns="*",
                commit_message=message,
            )
        changed = commit.oid != before
        self._say(f"Files: {'uploaded' if changed else 'are there'}")
        return changed

    def wake(self) -> None:
        with self._step("waking the Space"):
            self._api.restart_space(self.repo_id)

    def delete(self) -> None:
        with self._step("deleting the Space"):
            self._api.delete_repo(self.repo_id, repo_type="space")

    # How it runs ----------------------------------------------------------------------------------

    def runtime(self) -> SpaceRuntime:
        with self._step("looking how it runs"):
            return self._api.get_space_runtime(self.repo_id)

    def address(self) -> str:
        """Of the app itself, as in ``https://you-personaplex.hf.space``."""
        with self._step("looking for its address"):
            info = self._api.space_info(self.repo_id)
        return info.host or f"https://{self.repo_id.replace('/', '-').replace('_', '-').lower()}.hf.space"

    def health(self, address: str, key: str | None) -> tuple[int, dict[str, Any]]:
        """Status and body of the app's ``/health``; status 0 if nobody answers."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            answer = requests.get(f"{address}/health", headers=headers, timeout=TIMEOUT_SEC)
            body = answer.json()
        except (requests.RequestException, ValueError):
            return 0, {}
        return answer.status_code, cast(dict[str, Any], body) if isinstance(body, dict) else {}
