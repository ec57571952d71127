"""The demo application's page in a real Chromium, beside real members: what it shows, and that it holds."""

import re
import signal
import socket
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import DESKTOP, PATIENCE, PHONE, Open, Replica, Service
from tests.harness.ports import own_network
from tests.hazelcast.conftest import Launcher

pytestmark = [pytest.mark.hazelcast, pytest.mark.browser]

expect.set_options(timeout=PATIENCE)

FOUND_AGAIN = re.compile(r"All [\d,]+ entries from before were found again")
LIVE, CELLS = "Live, from replica ", ".cell"


def put(page: Page, key: str, value: str) -> None:
    """Put by the form, with the keyboard alone."""
    form = page.locator("#put")
    form.get_by_label("Key").fill(key)
    form.get_by_label("Value").fill(value)
    form.get_by_label("Value").press("Enter")
    expect(result(page)).to_contain_text(f"Put “{value[:9]}")


def get(page: Page, key: str) -> None:
    form = page.locator("#get")
    form.get_by_label("Key").fill(key)
    form.get_by_label("Key").press("Enter")


def result(page: Page) -> Locator:
    return page.locator("#result")


def cells_of(page: Page, member: str) -> Locator:
    return page.locator(f'.cell[data-owner="{member}"]')


def number_in(locator: Locator) -> int:
    return int(re.sub(r"\D", "", locator.text_content() or ""))


def wait_for_tally(page: Page, least: int) -> None:
    """Wait until so many entries have been written; it pauses while its page is hidden."""
    while number_in(page.locator("#written")) < least:
        page.wait_for_timeout(50)


def is_whole(page: Page, replicas: list[Replica]) -> None:
    """Wait until each member owns its share."""
    expect(page.locator("#status")).to_contain_text(LIVE)
    for replica in replicas:
        shares = re.compile(r"13[56] partitions")
        expect(page.locator(f'.card[data-member="{replica.member}"] .what')).to_have_text(shares)


def wait_for_moves(page: Page, member: str) -> None:
    """Wait until half of all partitions moved to a member; a pause on the way makes two sentences of it."""
    told = re.compile(rf"(\d+) partitions? moved to {re.escape(member)}")
    end = time.monotonic() + PATIENCE / 1000
    while sum(map(int, told.findall(page.locator("#story").inner_text()))) not in (135, 136):
        assert time.monotonic() < end, page.locator("#story").inner_text()
        page.wait_for_timeout(200)


def test_a_kill_is_seen_and_costs_no_entry(
    open_page: Open, replicas: list[Replica], service: Service
) -> None:
    """Three pages: of the replica that is killed, of the other, and one that a Service leads to the first."""
    first, second = replicas
    one, other = open_page(first), open_page(second)
    served = open_page(first, at=service.url)
    for page, replica in ((one, first), (other, second)):
        expect(page.locator("#status")).to_have_text(f"{LIVE}{replica.address}")
        is_whole(page, replicas)
    for page in (other, served):
        wait_for_tally(page, 200)

    put(one, "city", "Zürich")
    other.locator("#latest").get_by_role("button", name="city").click()
    expect(result(other).locator("pre")).to_have_text("Zürich")
    expect(other.locator("#operations li").first).to_contain_text(
        re.compile(rf"get\s*city\s*[\d.]+ ms\s*{second.address}")
    )

    service.backend = second.address
    first.kill()
    expect(other.locator(".card.gone")).to_contain_text(first.member)
    expect(other.locator("#story")).to_contain_text(f"Member {first.member} is gone")
    expect(one.locator("#status")).to_have_text(
        f"Replica {first.address} does not answer. Connecting again …"
    )
    expect(served.locator("#status")).to_have_text(f"{LIVE}{second.address}")
    expect(cells_of(other, second.member)).to_have_count(271)
    expect(other.locator("#story")).to_contain_text(
        re.compile(rf"{second.member} took over 13[56] partitions")
    )
    get(other, "city")
    expect(result(other).locator("pre")).to_have_text("Zürich")
    expect(other.locator("#where")).to_contain_text(f"which {second.member} owns")
    for page in (other, served):
        expect(page.locator("#story")).to_contain_text(FOUND_AGAIN)
    expect(served.locator("#story")).to_contain_text(f"Replica {second.address} serves this page now")
    assert number_in(served.locator("#lost")) == 0

    first.start_member()
    first.start_app()
    is_whole(other, replicas)
    is_whole(one, replicas)  # without a reload
    wait_for_moves(other, first.member)
    assert number_in(other.locator("#lost")) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_partitions_on_their_way_for_a_screenshot(
    open_page: Open, replicas: list[Replica], request: pytest.FixtureRequest, checkout: Path, scheme: str
) -> None:
    """With --update: the screenshots of the README, of the page while partitions move to their new owner."""
    if not request.config.getoption("--update"):
        return
    first, second = replicas
    is_whole(open_page(second), replicas)
    page = open_page(second, color_scheme=scheme)
    put(page, "greeting", "hello")
    wait_for_tally(page, 1000)
    session = page.context.new_cdp_session(page)
    session.send("Animation.enable")
    session.send("Animation.setPlaybackRate", {"playbackRate": 0.1})
    first.kill()
    expect(cells_of(page, second.member)).to_have_count(271)
    page.wait_for_timeout(4500)
    page.screenshot(path=checkout / "docs" / "images" / f"kill-{scheme}.jpg", quality=85)
    first.start_member()
    first.start_app()


def test_pages_of_two_replicas_share_a_counter_a_queue_and_a_topic(
    open_page: Open, replicas: list[Replica]
) -> None:
    one, other = (open_page(replica) for replica in replicas)
    for page in (one, other):
        is_whole(page, replicas)
    before = number_in(one.locator("#count"))

    one.get_by_role("button", name="Add one").click()
    for page in (one, other):
        expect(page.locator("#count")).to_have_text(f"{before + 1}")
    one.locator("#queue").get_by_label("Text").fill("<b>sweep</b>")
    one.locator("#queue").get_by_role("button", name="Add").click()
    expect(said_of(one, "queue")).to_have_text("Added <b>sweep</b>; the queue has 1 text.")
    for sentence in ("Took <b>sweep</b>; 0 texts left.", "The queue is empty. Add a text"):
        other.locator("#queue").get_by_role("button", name="Take").click()
        expect(said_of(other, "queue")).to_contain_text(sentence)
    one.locator("#topic").get_by_label("Text").press("Enter")
    expect(other.locator("#said li").first).to_contain_text(f"{replicas[0].address}: hello, all")
    one.locator("#sql").get_by_label("Part").press("Enter")
    expect(said_of(one, "sql")).to_contain_text("SQL is off: it needs Jet")


def test_a_page_of_a_client_of_a_cluster_elsewhere_says_so(
    open_page: Open, replicas: list[Replica], launcher: Launcher
) -> None:
    # A name of a member's address, as a Service has one: no member is known by it.
    name = str(int.from_bytes(socket.inet_aton(replicas[0].address)))
    address = f"{own_network()}.45"
    client = Replica(address, [], launcher, [launcher.app(address, member=name)])
    page, beside = open_page(client), open_page(replicas[0])
    for each, title, labels in ((page, "as a cluster of its own", 0), (beside, "beside every replica", 1)):
        is_whole(each, replicas)
        expect(each.get_by_role("heading", level=1)).to_have_text(f"Hazelcast {title}")
        expect(each.get_by_text("beside this replica")).to_have_count(labels)


def said_of(page: Page, structure: str) -> Locator:
    return page.locator(f'[data-of="{structure}"]')


@pytest.mark.slow
def test_a_loss_is_counted_and_said(open_page: Open, replicas: list[Replica]) -> None:
    """Both members at once: more than an entry has backups."""
    page = open_page(replicas[0])
    is_whole(page, replicas)
    wait_for_tally(page, 100)
    put(page, "city", "Bern")

    for replica in replicas:
        replica.kill_member()
    expect(page.locator("#status")).to_have_text(f"Replica {replicas[0].address} is up, its member is away")
    expect(page.locator("#away")).to_contain_text(
        f"No answer from the Hazelcast member at {replicas[0].member}"
    )
    expect(page.locator("#summary")).to_contain_text("Last seen: 2 members")
    get(page, "city")
    expect(result(page)).to_contain_text("try again in a few seconds")
    kept = number_in(page.locator("#written"))

    for replica in replicas:
        replica.start_member()
    is_whole(page, replicas)
    expect(page.locator("#lost")).to_have_text(f"{kept:,}")
    expect(page.locator("#loss")).to_contain_text(f"{kept:,} entries that this page wrote, gone")
    expect(page.locator("#story")).to_contain_text("Entries are lost")
    get(page, "city")
    expect(result(page)).to_have_text(re.compile("No entry has the key “city”. Put one, or get another."))


def test_a_replica_that_falls_silent_is_noticed(open_page: Open, replicas: list[Replica]) -> None:
    """As where its node is gone: no connection ends."""
    page = open_page(replicas[0])
    expect(page.locator("#status")).to_contain_text(LIVE)
    page.clock.install()
    page.reload()
    expect(page.locator("#status")).to_contain_text(LIVE)
    silent = replicas[0].programs[-1].popen

    silent.send_signal(signal.SIGSTOP)
    try:
        page.clock.fast_forward("00:30")
        expect(page.locator("#status")).to_contain_text("does not answer. Connecting again")
    finally:
        silent.send_signal(signal.SIGCONT)
    expect(page.locator("#status")).to_contain_text(LIVE)


def test_keys_and_values_are_text(open_page: Open, replicas: list[Replica]) -> None:
    page, hostile = open_page(replicas[0]), "<img src=x onerror=alert(1)>\u202e</script>"
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))

    put(page, hostile, hostile)
    get(page, hostile)

    expect(result(page).locator("pre")).to_have_text(hostile)
    expect(page.locator("#latest button").first).to_have_text(hostile)
    expect(page.locator("#operations li").first).to_contain_text("<img")
    assert page.locator("main img, main script").count() == 0
    page.reload()
    expect(page.locator("#status")).to_contain_text(LIVE)
    assert {url.split("/")[2] for url in asked} == {f"{replicas[0].address}:5000"}


def test_what_is_too_large_is_answered_with_the_limit(open_page: Open, replicas: list[Replica]) -> None:
    page = open_page(replicas[0])
    page.locator("#put").get_by_label("Value").fill("v" * ((1 << 20) + 1))
    page.locator("#put").get_by_role("button").click()

    expect(result(page)).to_contain_text("The value has 1,048,577 bytes, and at most 1,048,576 are taken")


def test_the_page_is_used_by_keyboard(open_page: Open, replicas: list[Replica]) -> None:
    page = open_page(replicas[0])
    expect(page.locator("#status")).to_contain_text(LIVE)
    stops = []
    for _ in range(7):
        page.keyboard.press("Tab")
        stops.append(
            page.evaluate(
                "() => { const at = document.activeElement;"
                " return [at.name || at.textContent.trim(), getComputedStyle(at).outlineStyle] }"
            )
        )
        if stops[-1][0] == "Pause":
            page.keyboard.press("Space")

    assert [name for name, _ in stops[:6]] == ["Pause", "key", "value", "Put", "key", "Get"]
    assert {outline for _, outline in stops[:6]} == {"solid"}
    assert page.locator("#pause").get_attribute("aria-pressed") == "true"
    page.wait_for_timeout(600)  # what was on its way
    written = page.locator("#written").inner_text()
    page.wait_for_timeout(600)
    assert page.locator("#written").inner_text() == written


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_reduced_motion_moves_nothing(open_page: Open, replicas: list[Replica], motion: str) -> None:
    page = open_page(replicas[0], reduced_motion=motion)
    expect(page.locator(CELLS)).to_have_count(271)

    duration = page.locator(CELLS).first.evaluate("cell => getComputedStyle(cell).transitionDuration")

    assert (duration == "0s") == (motion == "reduce")


def test_the_picture_has_a_text(open_page: Open, replicas: list[Replica]) -> None:
    page = open_page(replicas[1])
    is_whole(page, replicas)

    picture = page.get_by_role("img", name="The cluster")
    shares = [page.locator(f'.card[data-member="{each.member}"] .what') for each in replicas]
    first, second = (number_in(share) for share in shares)
    expect(picture).to_have_accessible_description(f"2 members, 271 partitions: {first} + {second}.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1280", "390"])
def test_it_fits(
    open_page: Open, replicas: list[Replica], checkout: Path, size: dict[str, int], scheme: str
) -> None:
    """Nothing to scroll sideways; build/page has the screenshots, to be looked at."""
    page = open_page(replicas[0], viewport=size, color_scheme=scheme)
    is_whole(page, replicas)
    put(page, "k" * 300, "v" * 3000)
    get(page, "k" * 300)
    expect(result(page).locator("pre")).to_be_visible()
    width = page.evaluate("() => document.documentElement.scrollWidth")
    assert width == size["width"]

    put(page, "greeting", "hello from replica 1")
    get(page, "greeting")
    expect(result(page)).to_contain_text("Got “greeting”")
    page.mouse.move(0, 0)
    image = page.screenshot(
        path=checkout / "build" / "page" / f"{size['width']}-{scheme}.png",
        full_page=size is PHONE,
        animations="disabled",
    )
    assert struct.unpack(">I", image[16:20]) == (size["width"],)
    assert len(image) < 200_000


def in_page(page: Page, module: str, script: str) -> Any:
    """Run a function of one of the page's modules in the browser."""
    return page.evaluate(f"async () => {{ const its = await import('/page/{module}.js'); {script} }}")


def test_every_partition_lies_within_its_members_card(open_page: Open, replicas: list[Replica]) -> None:
    outside = in_page(
        open_page(replicas[0]),
        "places",
        """
        const outside = [];
        const few = [[271], [271, 0], [136, 135], [91, 90, 90]];
        const many = [Array(12).fill(23), Array(40).fill(7)];
        for (const width of [320, 358, 700])
          for (const counts of [...few, ...many]) {
            const plan = its.arrange(counts, width, 380);
            counts.forEach((count, index) => {
              const card = plan.cards[index];
              const { x, y } = its.cellPlace(card, Math.max(0, count - 1), plan.pitch);
              const right = x + plan.pitch > card.x + card.width;
              const below = y + plan.pitch > card.y + card.height;
              if (right || below || card.x + card.width > width + 0.1) outside.push([width, count, index]);
            });
          }
        return outside;
        """,
    )
    assert outside == []


def test_a_member_keeps_its_place_and_one_that_is_gone_leaves_its_own(
    open_page: Open, replicas: list[Replica]
) -> None:
    seen = in_page(
        open_page(replicas[0]),
        "places",
        """
        const slots = new its.Slots();
        const show = (now, ...members) => slots.update(members, now).map(
          ({ address, slot, gone }) => `${slot} ${address}${gone ? " gone" : ""}`);
        return [show(0, "b", "a"), show(1, "b"), show(2, "b", "c"), show(3, "c"), show(70_000, "c")];
        """,
    )
    assert seen == [["0 a", "1 b"], ["0 a gone", "1 b"], ["0 c", "1 b"], ["0 c", "1 b gone"], ["0 c"]]


def test_the_story_says_what_a_kill_and_another_replica_change(
    open_page: Open, replicas: list[Replica]
) -> None:
    lines = in_page(
        open_page(replicas[0]),
        "story",
        """
        const story = new its.Story(), lines = [];
        const see = (now, replica, members, owners) =>
          lines.push(...story.see({ replica, members, owners }, now));
        see(0, "one", ["a", "b"], [0, 1, 0]);
        see(1000, "one", ["b"], [-1, 0, -1]);
        see(1400, "one", ["b"], [0, 0, 0]);
        lines.push(...story.settle(2000), ...story.settle(2100), ...story.settle(2200));
        see(3000, "one", ["b", "c"], [0, 0, 1]);
        lines.push(...story.settle(3700));
        lines.push(...story.seeAway({ replica: "one" }), ...story.seeAway({ replica: "one" }));
        see(5000, "one", ["b", "c"], [1, 1, 0]);
        see(5100, "two", ["b", "c"], [1, 1, 0]);
        lines.push(...story.settle(9000));
        return lines;
        """,
    )
    assert lines == [
        "Replica one serves this page. 2 members.",
        "Member a is gone, which owned 2 partitions. 1 member left.",
        "b took over 2 partitions within 0.4 s.",
        "Member c joined. 2 members.",
        "1 partition moved to c at once.",
        "Replica one is up, but its member is away.",
        "Replica one is connected to its cluster again.",
        "Replica two serves this page now, in place of one.",
    ]


def test_the_tally_counts_what_was_answered_and_nothing_else(
    open_page: Open, replicas: list[Replica]
) -> None:
    counts = in_page(
        open_page(replicas[0]),
        "tally",
        """
        const tally = new its.Tally(), first = tally.request(0);
        tally.count(first, { written: first.write.slice(1), found: [], absent: [] }, 0);
        const second = tally.request(1);
        tally.count(second, null, 1);
        const third = tally.request(2);
        tally.count(third, { written: [], found: third.read.slice(2), absent: third.read.slice(0, 1) }, 2);
        const { written, found, lost, unanswered, kept } = tally;
        return { written, found, lost, unanswered, kept, dropped: third.drop };
        """,
    )
    unanswered = 1 + (20 + 19) + (20 + 1)
    assert counts == {
        "written": 19,
        "found": 17,
        "lost": 1,
        "unanswered": unanswered,
        "kept": 18,
        "dropped": [*range(20, 40), 0],
    }


def test_the_tally_is_bounded_and_drops_nothing_that_is_still_to_be_found(
    open_page: Open, replicas: list[Replica]
) -> None:
    seen = in_page(
        open_page(replicas[0]),
        "tally",
        """
        const tally = new its.Tally(), there = new Set(), most = { kept: 0, there: 0 };
        const step = (now) => {
          const request = tally.request(now);
          for (const number of request.write) there.add(number);
          const found = request.read.filter((number) => there.has(number));
          const absent = request.read.filter((number) => !there.has(number));
          for (const number of request.drop) there.delete(number);
          tally.count(request, { written: request.write, found, absent }, now);
          most.kept = Math.max(most.kept, tally.kept);
          most.there = Math.max(most.there, there.size);
        };
        for (let round = 0; round < 200; round++) step(round);
        tally.recheck();
        const goal = tally.toFind.size;
        for (let round = 200; tally.toFind.size && round < 400; round++) step(round);
        const { again, lost } = tally;
        step(3_600_001);
        return { ...most, goal, again, lost, afterAnHour: tally.kept };
        """,
    )
    assert seen == {
        "kept": 1000,
        "there": 1000,
        "goal": seen["again"],
        "again": seen["again"],
        "lost": 0,
        "afterAnHour": 20,
    }
    assert seen["again"] > 900
