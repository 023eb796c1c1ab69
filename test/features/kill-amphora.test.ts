/** Each kind of process of an amphora is killed on its own: it heals by itself, and how long that takes is printed. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { findMarked } from '../../src/cloud/local/compute/processes.ts';
import { makeLoadBalancer, operatingStatuses, showLoadBalancer, type ShownLoadBalancer, waitMember } from '../support/load-balancers.ts';
import { namespacesUnavailable } from '../support/namespaces.ts';
import { until } from '../support/octavia.ts';
import { asMember, commandOf, openStage, poolOf, type Stage, vipOf, wholeTree } from '../support/stage.ts';
import { ask, startTraffic, tellFailures } from '../support/traffic.ts';

/** The processes of an amphora with one HAProxy. */
const kinds = ['bwrap', 'init', 'agent', 'executor', 'haproxy master', 'haproxy worker'] as const;
type Kind = (typeof kinds)[number];

/** Those whose death no request may notice: HAProxy is no child of theirs, or of bubblewrap only as long as it makes the namespaces. */
const unnoticed: readonly Kind[] = ['bwrap', 'agent', 'executor'];

/** Bubblewrap only waits for the end of what it started; an amphora lacks nothing without it. */
const needed = kinds.filter((kind) => kind !== 'bwrap');

test('an amphora heals by itself', { skip: namespacesUnavailable() }, async (t) => {
  const stage = await openStage(t);
  const { client, subnet, blue, green } = stage;
  const lb = await makeLoadBalancer(client, wholeTree('wounded', subnet.id, [asMember(blue), asMember(green)]));
  await waitMember(client, poolOf(lb), 'blue', 'ONLINE');
  await waitMember(client, poolOf(lb), 'green', 'ONLINE');
  await until(() => kindsNow(stage).size === kinds.length, 'all processes are there');
  const amphora = await amphoraOf(stage, lb);
  for (const kind of kinds) {
    const noticed = unnoticed.includes(kind) ? 'without losing a request' : 'and serves again';
    await t.test(`after kill -9 of its ${kind}, ${noticed}`, (inner) => killOne(stage, lb, kind, inner));
  }
  await t.test('as the same amphora, which nobody replaced', async () => assert.equal(await amphoraOf(stage, lb), amphora));
});

async function killOne(stage: Stage, lb: ShownLoadBalancer, kind: Kind, t: TestContext): Promise<void> {
  const { client } = stage;
  const vip = vipOf(lb);
  const fresh = startTraffic(t, { ...vip, connections: 'fresh', per_second: 40 });
  const steady = startTraffic(t, { ...vip, connections: unnoticed.includes(kind) ? 'persistent' : 'keep-alive', per_second: 40 });
  await until(() => fresh.sent() > 5 && steady.sent() > 5, 'traffic flows');
  const victim = kindsNow(stage).get(kind);
  assert.ok(victim !== undefined, `there is a process ${kind}`);
  const begun_ms = Date.now();
  process.kill(victim, 'SIGKILL');
  await until(() => isWhole(kindsNow(stage), kind, victim), 'all processes are there again', 20_000);
  const whole_ms = Date.now() - begun_ms;
  await until(async () => (await ask(vip).catch(() => '')) !== '', 'it serves again', 20_000);
  await until(async () => (await operatingStatuses(client, lb.id)).every((each) => each === 'ONLINE'), 'the API shows it ONLINE', 20_000);
  assert.equal((await showLoadBalancer(client, lb.id)).provisioning_status, 'ACTIVE');
  // Longer than a heartbeat: what fails after it is whole again would show.
  const sent = fresh.sent();
  await until(() => fresh.sent() > sent + 50, 'traffic goes on');
  await Promise.all([fresh.stop(), steady.stop()]);
  const failures = [...fresh.failures(), ...steady.failures()];
  const outage_ms = failures.length === 0 ? 0 : Math.max(...failures.map(({ at_ms }) => at_ms)) - begun_ms;
  console.log(
    `  ${kind.padEnd(15)} all processes after ${whole_ms} ms; ${failures.length} of ${fresh.sent() + steady.sent()} requests failed, the last after ${outage_ms} ms`,
  );
  if (unnoticed.includes(kind)) assert.equal(failures.length, 0, tellFailures(failures));
  assert.ok(outage_ms < 10_000, `${kind}: no traffic for ${outage_ms} ms`);
}

const isWhole = (now: ReadonlyMap<Kind, number>, kind: Kind, victim: number): boolean =>
  now.get(kind) !== victim && needed.every((each) => now.has(each));

async function amphoraOf({ admin }: Stage, lb: ShownLoadBalancer): Promise<string> {
  const { amphorae } = await admin.call<{ amphorae: { id: string }[] }>('GET', `/v2.0/octavia/amphorae?loadbalancer_id=${lb.id}`);
  return amphorae.map(({ id }) => id).join(' ');
}

/** Process ids by kind; a kind that does not run is not in it. There is one amphora. */
function kindsNow({ state_id }: Stage): ReadonlyMap<Kind, number> {
  const found = new Map<Kind, number>();
  const marked = findMarked(state_id);
  const masters = new Set(marked.filter(({ pid }) => isMaster(pid)).map(({ pid }) => pid));
  for (const { pid, is_init } of marked) {
    const kind = is_init ? 'init' : kindOf(pid, masters);
    if (kind !== null) found.set(kind, pid);
  }
  return found;
}

function kindOf(pid: number, masters: ReadonlySet<number>): Kind | null {
  const words = commandOf(pid);
  if (words[0] === 'bwrap') return 'bwrap';
  if (words.some((word) => word.endsWith('/agent.cjs'))) return 'agent';
  if (words.at(-1) === 'traffic') return 'executor';
  if (masters.has(pid)) return 'haproxy master';
  return words[0] === 'haproxy' && masters.has(parentOf(pid)) ? 'haproxy worker' : null;
}

/** A master-worker HAProxy's master is no child of another HAProxy. */
function isMaster(pid: number): boolean {
  return commandOf(pid)[0] === 'haproxy' && commandOf(parentOf(pid))[0] !== 'haproxy';
}

function parentOf(pid: number): number {
  try {
    return Number(/^PPid:\s+(\d+)$/mu.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  } catch {
    return 0;
  }
}
