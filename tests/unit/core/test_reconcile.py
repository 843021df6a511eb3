"""What is told of a plan, and plans where something is in the way."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from checkpointstore import reconcile
from checkpointstore.features.schema.outcome import Outcome
from checkpointstore.kernel.action import Apply, Delete, Emit, IssueCertificate, Ref, Restart, Switchover
from checkpointstore.kernel.condition import true
from checkpointstore.kernel.errors import Refused
from checkpointstore.kernel.news import news
from checkpointstore.kernel.pki import LEAF_LIFETIME, RENEW_BEFORE
from tests.contract.world import NAMESPACE, PLATFORM, World
from tests.golden.case import EXTERNAL


def kinds(plan: reconcile.Plan) -> set[str]:
    return {type(action).__name__ for action in plan.actions}


def test_what_the_api_server_refuses_is_told_and_taken_up_when_it_relents() -> None:
    with World() as world:
        world.make()
        # The first pass looks and says so with its first 50 requests; these are its Services.
        world.start_anew(faults={number: Refused("Forbidden", "services: no") for number in range(53, 59)})
        world.look()
        assert [world.condition(type_)["status"] for type_ in ("Ready", "Reconciling", "Stalled")] == [
            "False",
            "False",
            "True",
        ]
        assert world.condition("Stalled")["reason"] == "Forbidden"
        assert world.status["phase"] == "Stalled"
        assert world.again == timedelta(seconds=30)
        world.start_anew()
        world.settle()
        assert world.status["phase"] == "Ready"


def test_a_refusal_does_not_make_a_serving_store_not_ready() -> None:
    with World() as world:
        world.make()
        world.settle()
        plan = reconcile.refused(world.plan(), "Rejected", "no")
        assert [f"{item.type}={item.status}" for item in plan.conditions[:3]] == [
            "Ready=True",
            "Reconciling=False",
            "Stalled=True",
        ]
        assert plan.actions == ()


def test_news() -> None:
    def status(ready: str, stalled: str, primary: str) -> dict[str, object]:
        return {
            "postgres": {"primary": primary},
            "conditions": [
                {"type": "Ready", "status": ready, "message": "about ready"},
                {"type": "Stalled", "status": stalled, "message": "about stalled"},
            ],
        }

    before, after = status("False", "False", "agents-0"), status("True", "False", "agents-0")
    assert news({}, after) == (Emit("Normal", "Ready", "about ready"),)
    assert news(before, after) == (Emit("Normal", "Ready", "about ready"),)
    assert news(after, after) == ()
    assert news({}, before) == ()
    assert news(after, status("False", "True", "")) == (
        Emit("Warning", "NotReady", "about ready"),
        Emit("Warning", "Stalled", "about stalled"),
    )
    assert news(after, status("True", "False", "agents-1")) == (
        Emit("Normal", "PrimaryChanged", "agents-1 leads now, before it agents-0"),
    )


def test_a_store_that_is_fine_and_not_yet_readable_is_pending() -> None:
    plan = reconcile.Plan(parts=(true("Initialized", "BootstrapCompleted"),))
    assert reconcile.status({}, 1, plan, World().server.now)["phase"] == "Pending"


def test_what_nobody_asks_for_any_more_goes_unless_it_holds_data() -> None:
    with World() as world:
        world.make()
        world.settle()
        ours = world.need("ConfigMap", "agents-postgres")["metadata"]
        meta = {key: ours[key] for key in ("namespace", "labels", "ownerReferences")}
        for kind, version in (("ConfigMap", "v1"), ("Secret", "v1"), ("PersistentVolumeClaim", "v1")):
            body = {"apiVersion": version, "kind": kind, "metadata": {**meta, "name": "left-over"}, "spec": {}}
            world.server.create(body, "an-older-release")
        assert world.plan().actions == (Delete(Ref("ConfigMap", "left-over")),)
        world.settle()
        assert world.server.get("Secret", NAMESPACE, "left-over") is not None


def test_nothing_goes_while_the_rooms_do_not_know_what_they_want() -> None:
    """A store that is stalled before it begins asks for nothing; that takes nothing away."""
    with World() as world:
        world.rds()
        world.make({"postgres": {"provider": "External", "external": {"secretRef": {"name": "rds"}}}})
        world.settle()
        before = world.children()
        world.delete("Secret", "rds")
        world.settle()
        assert world.condition("Stalled")["reason"] == "SecretMissing"
        assert world.children() == before
        world.rds()
        world.settle()
        assert world.status["phase"] == "Ready"


@pytest.mark.parametrize("secret", ["agents-postgres-tls", "agents-admin-tls", "agents-pooler-tls"])
def test_a_certificate_is_renewed_before_it_ends(secret: str) -> None:
    """And nothing but certificates changes: no pod is restarted for the server's own."""
    with World() as world:
        world.make()
        world.settle()
        world.server.now += LEAF_LIFETIME - RENEW_BEFORE - timedelta(minutes=1)
        assert world.plan().actions == ()
        world.server.now += timedelta(minutes=2)
        plan = world.plan()
        assert kinds(plan) == {"IssueCertificate"}
        assert secret in {
            item.secret["metadata"]["name"] for item in plan.actions if isinstance(item, IssueCertificate)
        }
        primary = world.need("Pod", "agents-0")["metadata"]["uid"]
        world.settle()
        assert world.need("Pod", "agents-0")["metadata"]["uid"] == primary
        seen = world.observed()
        have = seen.secrets["agents-postgres-tls"].certificate
        assert have is not None
        assert seen.served == {"agents-0": have.fingerprint}


def test_a_lost_authority_is_made_again_and_everything_follows() -> None:
    with World() as world:
        world.make()
        world.settle()
        before = world.secret("agents-app")
        world.delete("Secret", "agents-ca")
        assert type(world.plan().actions[0]).__name__ == "IssueAuthority"
        world.settle()
        after = world.secret("agents-app")
        assert after["ca.crt"] != before["ca.crt"]
        assert after["password"] == before["password"]
        assert world.secret("agents-pooler-tls")["ca.crt"] == after["ca.crt"]


def test_a_broken_certificate_is_made_again() -> None:
    with World() as world:
        world.make()
        world.settle()
        world.edit("Secret", "agents-postgres-tls", {"data": {"tls.crt": "bm9uZQ=="}})
        assert kinds(world.plan()) == {"IssueCertificate"}
        world.settle()
        assert world.status["phase"] == "Ready"


@pytest.mark.parametrize("text", ["no JSON", "[1]", ""])
def test_a_member_that_says_nothing_sensible_is_a_member(text: str) -> None:
    with World() as world:
        world.make()
        world.settle()
        world.edit("Pod", "agents-0", {"metadata": {"annotations": {"status": text}}})
        assert world.plan().actions == ()
        assert world.plan().status["postgres"]["timeline"] == 0


@pytest.mark.parametrize("reason", ["none", {"max_connections": "x"}, {"shared_buffers": {"new_value": "1"}}])
def test_a_pending_restart_without_a_readable_reason_lowers_nothing(reason: object) -> None:
    """Then the standby restarts first, as in any other change."""
    with World() as world:
        world.make({"postgres": {"instances": 2}})
        world.settle()
        for name in ("agents-0", "agents-1"):
            status = json.dumps({"pending_restart": True, "pending_restart_reason": reason})
            world.edit("Pod", name, {"metadata": {"annotations": {"status": status}}})
        hosts = [action.at.host for action in world.plan().actions if isinstance(action, Restart)]
        assert hosts == ["agents-1.agents-pods.shop.svc"]


def test_a_job_that_ends_without_a_word_is_told_as_failed() -> None:
    with World() as world:
        world.make()
        world.refusal = Silent()
        for _ in range(6):
            world.look()
            world.tick()
        assert world.condition("SchemaApplied")["reason"] == "JobFailed"
        assert "see its pod's log" in world.condition("SchemaApplied")["message"]
        assert not [action for action in world.plan().actions if isinstance(action, Apply)]


class Silent(Outcome):
    """What a pod leaves that was killed while it wrote."""

    def text(self) -> str:
        return "Kil"


def test_a_job_is_never_applied_again() -> None:
    """Its spec is immutable: a release with another image only names later Jobs otherwise."""
    with World() as world:
        world.make()
        world.settle()
        images = replace(PLATFORM.images, operator="images/operator:2")
        later = reconcile.plan(world.store(), world.observed(), replace(PLATFORM, images=images), world.server.now)
        assert later.actions == ()


def test_a_statefulset_that_is_deleted_during_bootstrap_is_made_again() -> None:
    """The volumes in its way are this store's own: they are younger than it."""
    with World() as world:
        world.make()
        world.look()
        world.tick()
        assert world.need("PersistentVolumeClaim", "data-agents-0")
        assert world.status["phase"] == "Progressing"
        world.delete("StatefulSet", "agents")
        world.settle()
        assert world.status["phase"] == "Ready"


def test_a_rotation_waits_until_the_one_before_has_reached_applications() -> None:
    """Else the login that applications still use would get the new password."""
    with World() as world:
        world.make()
        world.settle()
        world.refusal = Outcome.failure("Unavailable", "no answer")
        for command in ("1", "2"):
            world.command("rotate-credentials", command)
            for _ in range(4):
                world.look()
                world.tick()
        assert world.secret("agents-credentials")["username"] == "app_b"
        assert world.secret("agents-app")["username"] == "app_a"
        world.refusal = None
        world.server.now += timedelta(minutes=3)
        world.settle()
        assert world.secret("agents-app").items() >= world.secret("agents-credentials").items()
        assert world.secret("agents-credentials")["username"] == "app_a"


def test_a_change_is_told_as_under_way_from_its_first_pass() -> None:
    with World() as world:
        world.make().settle()
        world.change(pooler={"resources": {"limits": {"memory": "128Mi"}}}).look()
        assert world.status["observedGeneration"] == 2
        assert world.states["Reconciling"] == ("True", "Applying")
        assert world.states["Ready"] == ("True", "Serving")


def test_a_standby_that_may_not_take_over_yet_is_told() -> None:
    with World() as world:
        world.make({"postgres": {"instances": 2, "synchronous": {"number": 1}}}).settle()
        assert world.states["PostgresAvailable"] == ("True", "AllInstancesReady")
        world.edit("Endpoints", "agents-rw-sync", {"metadata": {"annotations": {"sync_standby": None}}}).look()
        assert world.states["PostgresAvailable"] == ("True", "NotSynchronous")
        assert world.states["Ready"][0] == world.states["Reconciling"][0] == "True"
        assert world.condition("PostgresAvailable")["message"].startswith("0 of 1 standbys are synchronous")
        assert world.again == timedelta(seconds=1), "nobody tells when it is, and a new store waits for it"
        world.server.now += timedelta(minutes=3)
        world.look()
        assert world.again == timedelta(seconds=10), "this one takes its time"
        world.tick().settle()
        assert world.states["PostgresAvailable"] == ("True", "AllInstancesReady")


def test_a_primary_whose_pod_is_told_to_go_is_handed_over_unless_all_shall_go() -> None:
    with World() as world:
        world.make({"postgres": {"instances": 2}}).settle()
        assert "Switchover" not in kinds(world.plan())
        world.delete("Pod", "agents-0")
        (asked,) = [action for action in world.plan().actions if isinstance(action, Switchover)]
        assert (asked.leader, asked.target) == ("agents-0", "agents-1")
        assert asked.hold.poolers, "their clients wait meanwhile"
        world.command("hibernate", "true")
        assert "Switchover" not in kinds(world.plan())


def test_a_spec_that_cannot_be_read_leaves_what_is_known_and_says_that_nobody_looks() -> None:
    with World() as world:
        world.make().settle()
        before = world.states
        world.change(postgres={"parameters": {"FSYNC": "off"}}).look()
        told = world.states
        assert told["Ready"] == ("Unknown", "InvalidSpec")
        assert told["Stalled"] == ("True", "InvalidSpec")
        assert told["Initialized"] == before["Initialized"]
        world.look()
        assert world.states == told


def test_a_right_to_look_that_is_missing_is_told() -> None:
    with World() as world:
        world.make().settle()
        world.start_anew(faults={number: Refused("Forbidden", "jobs: no") for number in range(2, 12)}).look()
        assert world.states["Ready"] == ("Unknown", "Forbidden")
        assert world.states["Stalled"] == ("True", "Forbidden")
        assert world.again == timedelta(seconds=30)
        world.start_anew().settle()
        assert world.states["Ready"] == ("True", "Serving")


def test_a_restart_command_that_is_taken_back_restarts_nothing() -> None:
    with World() as world:
        world.make().settle()
        world.command("restart", "now").settle()
        world.command("restart", None)
        assert world.plan().actions == ()
        world.command("restart", "again")
        assert world.plan().actions != ()


LASTING = ("agents-rw", "agents-rw-config", "agents-rw-sync", "agents-rw-failover")


def test_a_pass_that_a_deletion_overtakes_takes_no_owner_from_what_patroni_keeps_its_state_in() -> None:
    with World() as world:
        world.make().settle()
        store, before = world.store(), world.observed()
        rights = Ref("RoleBinding", "agents")
        for gone in ({rights}, {rights, *(Ref("Service", name) for name in LASTING)}):
            seen = replace(before, objects={ref: item for ref, item in before.objects.items() if ref not in gone})
            plan = reconcile.plan(store, seen, PLATFORM, world.server.now)
            applied = {action.manifest["metadata"]["name"] for action in plan.actions if isinstance(action, Apply)}
            assert not applied & set(LASTING)
            assert not [action for action in plan.actions if isinstance(action, Delete)]
            assert "agents" in applied


def test_services_that_keep_patronis_state_get_their_second_owner_back() -> None:
    with World() as world:
        world.make().settle()
        world.delete("RoleBinding", "agents").settle()
        rights = world.need("RoleBinding", "agents")["metadata"]["uid"]
        for name in LASTING:
            owners = {item["uid"] for item in world.need("Service", name)["metadata"]["ownerReferences"]}
            assert owners == {world.body["metadata"]["uid"], rights}


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("host", "db\nadmin_users = eve", "neither a name nor an address"),
        ("database", "a{b}", "other characters"),
        ("port", "5432;", "not a number"),
        ("sslmode", "nonsense", "none of disable, allow"),
    ],
)
def test_an_external_secret_that_would_spoil_a_file_is_told(key: str, value: str, told: str) -> None:
    with World() as world:
        world.rds(**{key: value})
        world.make(EXTERNAL).look()
        condition = world.condition("PostgresAvailable")
        assert condition["reason"] == "SecretIncomplete"
        assert told in condition["message"]
        assert value not in condition["message"]


def handed_over(world: World) -> int:
    return sum(isinstance(action, Switchover) for action in world.plan().actions)


def test_a_rolling_change_and_a_commanded_switchover_write_one_failover_record() -> None:
    with World() as world:
        world.make({"postgres": {"instances": 2}}).settle()
        primary = world.status["postgres"]["primary"]
        world.command("restart", "now").settle_until(lambda: handed_over(world) > 0)
        world.command("switchover", "agents-1" if primary == "agents-0" else "agents-0")
        assert handed_over(world) == 1
