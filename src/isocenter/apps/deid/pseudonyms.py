"""The pseudonyms of a project, by its document, with its map in the database."""

from __future__ import annotations

from collections.abc import Mapping

from isocenter.apps.deid.documents import ProjectDocument
from isocenter.apps.deid.store import DatabaseStore
from isocenter.core.deid.policy import Policy
from isocenter.core.deid.pseudonyms.issuing import (
    GivenPseudonyms,
    KeyedPseudonyms,
    PatientAlias,
    PatternPseudonyms,
    Pseudonyms,
    Shifting,
)
from isocenter.core.deid.pseudonyms.secrets import PatientKey, Secret
from isocenter.core.deid.pseudonyms.store import Pseudonym, PseudonymEntry, netrt_hash


def pseudonyms_of(
    document: ProjectDocument, policy: Policy, secret: Secret, store: DatabaseStore
) -> Pseudonyms:
    """Who is called what: those of the list first, the others as the document wants it."""
    weeks, ages = policy.whole_weeks, policy.keep_ages
    wanted = document.pseudonyms
    otherwise: Pseudonyms | None = None
    if wanted.kind == "pattern":
        otherwise = PatternPseudonyms(
            wanted.pattern, wanted.site, store, secret,
            whole_weeks=weeks, keep_ages=ages, keep_dates=policy.dates == "keep",
        )  # fmt: skip
    elif wanted.kind == "keyed":
        shifting = Shifting(secret, weeks, ages)
        otherwise = _Computed(secret, shifting, store, remember=wanted.remember)
    return _Listed(store, secret, whole_weeks=weeks, keep_ages=ages, otherwise=otherwise)


class _Listed(GivenPseudonyms):
    """Those of lists; which issuer a line without one was used for is remembered for ever."""

    def __init__(
        self,
        store: DatabaseStore,
        secret: Secret,
        *,
        whole_weeks: bool,
        keep_ages: bool,
        otherwise: Pseudonyms | None,
    ) -> None:
        super().__init__(
            store.of_lists(), secret,
            whole_weeks=whole_weeks, keep_ages=keep_ages, otherwise=otherwise,
        )  # fmt: skip
        self._map = store

    def bind(self, listed: PatientKey, issuer: str) -> None:
        self._map.bind(listed, issuer)


class _Computed:
    """Computed pseudonyms; whose each one is goes into the map, so that it can be looked up, and
    patients whom NETRT knew keep what they had."""

    def __init__(
        self, secret: Secret, shifting: Shifting, store: DatabaseStore, *, remember: bool
    ) -> None:
        self._keyed = KeyedPseudonyms(
            secret, whole_weeks=shifting.whole_weeks, keep_ages=shifting.keep_ages
        )
        self._shifting, self._store, self._remember = shifting, store, remember

    def alias_for(self, key: PatientKey, attributes: Mapping[str, str]) -> PatientAlias | None:
        if key.is_empty:
            return None
        entry = self._store.find(key)
        if entry is not None:
            return self._shifting.alias(key, entry.pseudonym, entry.days)
        legacy = self._store.legacy(netrt_hash(key.patient_id, attributes.get("PatientName", "")))
        computed = self._keyed.alias_for(key, attributes)
        assert computed is not None
        pseudonym = legacy or Pseudonym(computed.patient_id, computed.patient_name)
        if self._remember or legacy:
            self._store.add(PseudonymEntry(key, pseudonym))
        return self._shifting.alias(key, pseudonym)
