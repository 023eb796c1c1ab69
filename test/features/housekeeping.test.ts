import assert from 'node:assert/strict';
import { randomUUID, X509Certificate } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { FakeCompute } from '../../src/cloud/fake/compute.ts';
import { FakeSecrets } from '../../src/cloud/fake/secrets.ts';
import type { Port, PortService } from '../../src/cloud/network.ts';
import type { Database } from '../../src/db/database.ts';
import { purgeDeleted } from '../../src/db/purge.ts';
import { claimDueCertificates, restartForgotten } from '../../src/db/upkeep.ts';
import { startHousekeeping } from '../../src/housekeeping/housekeeping.ts';
import { runPeriodically } from '../../src/housekeeping/periodic.ts';
import { Sweep, type SweepOptions } from '../../src/housekeeping/sweep.ts';
import { FakeClock } from '../../src/lib/clock.ts';
import { recordingLogger, silentLogger } from '../../src/lib/log.ts';
import { Secret } from '../../src/lib/secret.ts';
import { withDatabase } from '../support/database.ts';
import { fixture, fixtureText } from '../support/tls-fixtures.ts';
import { insert, plant, until } from './health-fixture.ts';

/** `[house_keeping]` as it is by default. */
const standard = {
  cleanup_interval: 30,
  amphora_expiry_age: 604_800,
  load_balancer_expiry_age: 604_800,
  cert_interval: 3600,
  cert_expiry_buffer: 1_209_600,
  cert_rotate_threads: 10,
};

type Wishes = Partial<Parameters<typeof startHousekeeping>[0]>;

/** Housekeeping on a clock that stands still; `round` lets every job that is due within the time run to its end. */
async function withHousekeeping(t: TestContext, wishes: Wishes & { readonly jobs: number }) {
  const { jobs, ...options } = wishes;
  const clock = (options.clock as FakeClock | undefined) ?? new FakeClock();
  let stop = async (): Promise<void> => undefined;
  t.after(() => stop());
  const db = await withDatabase(t, { clock });
  const start = (): void => {
    const running = startHousekeeping({
      db,
      log: silentLogger,
      ...standard,
      stray_interval: 0,
      drift_interval: 0,
      random: () => 0.5,
      ...options,
      clock,
    });
    stop = () => running.stop();
  };
  const round = async (ms: number): Promise<void> => {
    await until(
      () => clock.sleeping,
      (seen) => seen === jobs,
    );
    await clock.advance(ms);
    await until(
      () => clock.sleeping,
      (seen) => seen === jobs,
    );
  };
  return { db, clock, start, round };
}

const octaviaTime = (ms: number): string => new Date(ms).toISOString().slice(0, 19);
const day = 86_400_000;

describe('housekeeping: purge', () => {
  it('removes amphorae and load balancers that are DELETED for longer than their age, with all that hangs on them', async (t) => {
    const { db, clock, start, round } = await withHousekeeping(t, { jobs: 3 });
    const old = octaviaTime(clock.now() - 8 * day);
    const recent = octaviaTime(clock.now() - 6 * day);
    const deleted = { provisioning_status: 'DELETED' } as const;
    const doomed = await plant(db, {
      loadbalancer: { ...deleted, updated_at: old },
      amphora: { status: 'DELETED', updated_at: old },
      heard_ago_ms: 30 * day,
    });
    const young = await plant(db, { loadbalancer: { ...deleted, updated_at: recent }, amphora: { status: 'DELETED', updated_at: recent } });
    const living = await plant(db, { heard_ago_ms: 30 * day, loadbalancer: { updated_at: old }, amphora: { updated_at: old } });
    await db.tx(async (tx) => {
      await tx.insertInto('tag').values({ resource_id: doomed.loadbalancer, tag: 'a' }).execute();
      for (const each of [doomed, living])
        await tx
          .insertInto('listener_statistics')
          .values({ listener_id: each.listener, amphora_id: each.amphora, ...zero })
          .execute();
    });
    start();
    await round(1000);
    const ids = async (table: 'loadbalancer' | 'amphora'): Promise<Set<string>> =>
      new Set((await db.read.selectFrom(table).select('id').execute()).map((row) => row.id));
    assert.deepEqual(await ids('loadbalancer'), new Set([young.loadbalancer, living.loadbalancer]));
    assert.deepEqual(await ids('amphora'), new Set([young.amphora, living.amphora]));
    assert.deepEqual(await db.read.selectFrom('amphora_health').select('amphora_id').execute(), [{ amphora_id: living.amphora }]);
    assert.deepEqual(await db.read.selectFrom('listener_statistics').select('listener_id').execute(), [{ listener_id: living.listener }]);
    assert.deepEqual(await db.read.selectFrom('tag').selectAll().execute(), []);
    assert.equal((await db.read.selectFrom('reconciliation').select('loadbalancer_id').execute()).length, 2);
  });

  it('keeps a DELETED amphora that is still heard: its instance runs, and the row says whose it was', async (t) => {
    const { db, clock, start, round } = await withHousekeeping(t, { jobs: 3 });
    const planted = await plant(db, { amphora: { status: 'DELETED', updated_at: octaviaTime(clock.now() - 8 * day) }, heard_ago_ms: day });
    start();
    await round(1000);
    assert.deepEqual(await db.read.selectFrom('amphora').select('id').execute(), [{ id: planted.amphora }]);
  });

  it('removes rows of health and statistics whose owner went before they were written, and any number of rows', async (t) => {
    const { db, clock, start, round } = await withHousekeeping(t, { jobs: 3 });
    await db.tx(async (tx) => {
      await tx.insertInto('amphora_health').values({ amphora_id: 'gone', last_seen_ms: 1, busy: false }).execute();
      await tx
        .insertInto('listener_statistics')
        .values({ listener_id: 'gone', amphora_id: 'gone', ...zero })
        .execute();
      for (let i = 0; i < 1100; i += 1) await insert(tx, 'amphora', { status: 'DELETED', updated_at: octaviaTime(clock.now() - 8 * day) });
    });
    start();
    await round(1000);
    for (const table of ['amphora', 'amphora_health', 'listener_statistics'] as const)
      assert.deepEqual(await db.read.selectFrom(table).selectAll().execute(), []);
  });
});

const zero = { bytes_in: 0, bytes_out: 0, active_connections: 0, total_connections: 0, request_errors: 0 };

describe('housekeeping: certificates', () => {
  it('has those renewed that end within the buffer, a few at a time, each once', async (t) => {
    const woken: string[] = [];
    const { db, clock, start, round } = await withHousekeeping(t, { jobs: 3, cert_rotate_threads: 1, wake: (id) => woken.push(id) });
    const ending = (days: number): { amphora: { cert_expiration: string } } => ({
      amphora: { cert_expiration: octaviaTime(clock.now() + days * day) },
    });
    const [later, sooner, fine, none] = [
      await plant(db, ending(13)),
      await plant(db, ending(1)),
      await plant(db, ending(15)),
      await plant(db),
    ];
    const busy = await plant(db, { amphora: { ...ending(1).amphora, cert_busy: true } });
    start();
    await round(1000);
    assert.deepEqual(woken, [sooner.loadbalancer]);
    await round(5000);
    await round(5000);
    assert.deepEqual(woken, [sooner.loadbalancer, later.loadbalancer]);
    const marked = await db.read.selectFrom('amphora').select('id').where('cert_busy', '=', true).execute();
    assert.deepEqual(new Set(marked.map((row) => row.id)), new Set([sooner.amphora, later.amphora, busy.amphora]));
    assert.deepEqual(await generationsOf(db, [sooner, later, fine, none]), [2, 2, 1, 1]);
  });
});

describe('housekeeping: several controllers', () => {
  it('claim each certificate once and restart each forgotten load balancer once', async (t) => {
    const db = await withDatabase(t);
    const due = [];
    for (let i = 0; i < 5; i += 1) due.push(await plant(db, { amphora: { cert_expiration: '2025-01-01T00:00:00' } }));
    const forgotten = await plant(db, { loadbalancer: { provisioning_status: 'PENDING_UPDATE' } });
    const claims = await Promise.all([1, 2, 3].map(() => claimDueCertificates(db, '2026-01-01T00:00:00', 10)));
    const restarts = await Promise.all([1, 2, 3].map(() => restartForgotten(db, [])));
    await Promise.all(
      [1, 2, 3].map(() => purgeDeleted(db, { amphorae: '2026-01-01T00:00:00', loadbalancers: '2026-01-01T00:00:00', silent_ms: 0 })),
    );
    assert.deepEqual(
      claims
        .flat()
        .map((each) => each.loadbalancer_id)
        .toSorted(),
      due.map((each) => each.loadbalancer).toSorted(),
    );
    assert.deepEqual(restarts.flat(), [forgotten.loadbalancer]);
    assert.deepEqual(await generationsOf(db, [...due, forgotten]), [2, 2, 2, 2, 2, 2]);
  });
});

const generationsOf = async (db: Database, planted: readonly { loadbalancer: string }[]): Promise<number[]> => {
  const rows = await db.read.selectFrom('reconciliation').select(['loadbalancer_id', 'generation']).execute();
  const byId = new Map(rows.map((row) => [row.loadbalancer_id, row.generation]));
  return planted.map((each) => byId.get(each.loadbalancer) ?? 0);
};

describe('housekeeping: work that nobody has', () => {
  it('is made again for what is PENDING while the queue is empty, but not for providers that never report back', async (t) => {
    const woken: string[] = [];
    const { db, start, round } = await withHousekeeping(t, { jobs: 3, wake: (id) => woken.push(id) });
    const forgotten = await plant(db, { loadbalancer: { provisioning_status: 'PENDING_UPDATE' } });
    const rowless = await plant(db, { loadbalancer: { provisioning_status: 'PENDING_DELETE' } });
    const queued = await plant(db, { loadbalancer: { provisioning_status: 'PENDING_CREATE' } });
    const idle = await plant(db, { loadbalancer: { provisioning_status: 'PENDING_UPDATE', provider: 'noop_driver' } });
    await db.tx(async (tx) => {
      await tx.deleteFrom('reconciliation').where('loadbalancer_id', '=', rowless.loadbalancer).execute();
      await tx.updateTable('reconciliation').set({ generation: 2 }).where('loadbalancer_id', '=', queued.loadbalancer).execute();
    });
    start();
    await round(1000);
    assert.deepEqual(new Set(woken), new Set([forgotten.loadbalancer, rowless.loadbalancer]));
    assert.deepEqual(await generationsOf(db, [forgotten, rowless, queued, idle]), [2, 1, 2, 1]);
    await round(30_000);
    assert.equal(woken.length, 2);
  });

  it('drift is looked for in a few load balancers at a time, all in turn, never in those that have work', async (t) => {
    const { db, start, round } = await withHousekeeping(t, { jobs: 4, drift_interval: 60, drift_batch: 2 });
    const planted = [];
    for (let i = 0; i < 3; i += 1) planted.push(await plant(db));
    const pending = await plant(db, { loadbalancer: { provisioning_status: 'PENDING_UPDATE' } });
    const noop = await plant(db, { loadbalancer: { provider: 'noop_driver' } });
    await db.tx((tx) =>
      tx.updateTable('reconciliation').set({ generation: 2 }).where('loadbalancer_id', '=', pending.loadbalancer).execute(),
    );
    start();
    await round(1000);
    assert.equal((await generationsOf(db, planted)).filter((each) => each === 2).length, 2);
    await round(60_000);
    assert.deepEqual(await generationsOf(db, [...planted, pending, noop]), [2, 2, 2, 2, 1]);
  });
});

/** Ports in memory. */
class Ports implements Pick<PortService, 'listPorts' | 'updatePort' | 'deletePort'> {
  readonly all = new Map<string, Port>();

  add(port: Partial<Port>): Port {
    const empty = {
      project_id: null,
      mac_address: '',
      fixed_ips: [],
      security_groups: [],
      allowed_address_pairs: [],
      qos_policy_id: null,
      tags: [],
    };
    const whole = { id: randomUUID(), name: '', network_id: 'n', device_id: '', device_owner: '', ...empty, ...port } as Port;
    this.all.set(whole.id, whole);
    return whole;
  }

  async listPorts(filter: { readonly device_owner?: string }): Promise<readonly Port[]> {
    return [...this.all.values()].filter((port) => filter.device_owner === undefined || port.device_owner === filter.device_owner);
  }

  async updatePort(id: string, change: Partial<Port>): Promise<Port> {
    const port = { ...this.all.get(id)!, ...change };
    this.all.set(id, port);
    return port;
  }

  async deletePort(id: string): Promise<void> {
    this.all.delete(id);
  }
}

describe('housekeeping: strays', () => {
  async function withCloud(t: TestContext, options: Partial<SweepOptions> = {}) {
    const db = await withDatabase(t);
    const clock = new FakeClock();
    const compute = new FakeCompute({ clock, newId: randomUUID });
    const ports = new Ports();
    const woken: string[] = [];
    const sweep = new Sweep({ db, compute, ports, log: silentLogger, wake: (id) => woken.push(id), ...options });
    const boot = (amphora_id: string, loadbalancer_id: string) =>
      compute.createInstance({
        name: `amphora-${amphora_id}`,
        amphora_id,
        loadbalancer_id,
        compute_flavor: null,
        image_tag: null,
        availability_zone: null,
        volume_zone: null,
        server_group_id: null,
        network_ids: [],
        files: [],
      });
    return { db, clock, compute, ports, sweep, woken, boot };
  }

  it('are removed when they were found twice: instances and ports whose amphora or load balancer has no living row', async (t) => {
    const { db, compute, ports, sweep, boot } = await withCloud(t);
    const living = await plant(db);
    const kept = await boot(living.amphora, living.loadbalancer);
    await db.tx((tx) => tx.updateTable('amphora').set({ compute_id: kept.compute_id }).execute());
    const dead = await plant(db, { loadbalancer: { provisioning_status: 'DELETED' }, amphora: { status: 'DELETED' } });
    await boot(dead.amphora, dead.loadbalancer);
    await boot(randomUUID(), randomUUID());
    const keptPorts = [
      ports.add({ device_id: `amphora-${living.amphora}`, device_owner: 'Octavia:amphora' }),
      ports.add({ device_id: `lb-${living.loadbalancer}`, device_owner: 'Octavia' }),
      ports.add({ device_id: 'something else', device_owner: 'Octavia' }),
      ports.add({ device_id: `amphora-${dead.amphora}`, device_owner: 'compute:nova' }),
    ];
    ports.add({ device_id: `amphora-${dead.amphora}`, device_owner: 'Octavia:amphora' });
    ports.add({ device_id: randomUUID(), name: `octavia-lb-vrrp-${dead.amphora}`, device_owner: 'Octavia:amphora' });
    ports.add({ device_id: `lb-${dead.loadbalancer}`, name: `octavia-lb-${dead.loadbalancer}`, device_owner: 'Octavia' });
    assert.deepEqual(await sweep.run(), { instances: 0, ports: 0, lost: 0, suspects: 5 });
    assert.deepEqual(await sweep.run(), { instances: 2, ports: 3, lost: 0, suspects: 0 });
    assert.deepEqual(
      compute.all().map((each) => each.compute_id),
      [kept.compute_id],
    );
    assert.deepEqual([...ports.all.values()], keptPorts);
  });

  it('a VIP port that a tenant brought is given back, not deleted', async (t) => {
    const { ports, sweep } = await withCloud(t);
    const port = ports.add({ name: 'mine', device_id: `lb-${randomUUID()}`, device_owner: 'Octavia' });
    await sweep.run();
    await sweep.run();
    assert.deepEqual(ports.all.get(port.id), { ...port, device_id: '', device_owner: '' });
  });

  it('are not removed when more than half of everything is one: the database may be the wrong one', async (t) => {
    const { log, lines } = recordingLogger();
    const { compute, sweep, boot } = await withCloud(t, { log });
    for (let i = 0; i < 6; i += 1) await boot(randomUUID(), randomUUID());
    await sweep.run();
    assert.equal((await sweep.run()).instances, 0);
    assert.equal(compute.all().length, 6);
    assert.match(String(lines[0]!['msg']), /nothing is removed/u);
  });

  it('an amphora whose instance is gone twice in a row, or is in ERROR, is looked over by a worker', async (t) => {
    const { db, compute, sweep, woken, boot } = await withCloud(t);
    const [first, second] = [await plant(db), await plant(db)];
    for (const each of [first, second]) {
      const { compute_id } = await boot(each.amphora, each.loadbalancer);
      await db.tx((tx) => tx.updateTable('amphora').set({ compute_id }).where('id', '=', each.amphora).execute());
    }
    assert.deepEqual(await sweep.run(), { instances: 0, ports: 0, lost: 0, suspects: 0 });
    compute.lose(compute.all()[0]!.compute_id);
    assert.deepEqual(await sweep.run(), { instances: 0, ports: 0, lost: 0, suspects: 1 });
    assert.equal((await sweep.run()).lost, 1);
    assert.deepEqual(woken, [first.loadbalancer]);
    // It has work now and gets no more of it.
    assert.equal((await sweep.run()).lost, 0);
    assert.deepEqual(await generationsOf(db, [first, second]), [2, 1]);
  });
});

describe('housekeeping: its jobs', () => {
  it('a round that fails is logged and the next comes in its time; stopping ends the waiting', async () => {
    const clock = new FakeClock();
    const { log, lines } = recordingLogger();
    const ending = new AbortController();
    const rounds: number[] = [];
    const run = async (): Promise<{ next_ms?: number }> => {
      rounds.push(clock.now());
      if (rounds.length === 2) throw new Error('the cloud does not answer');
      return rounds.length === 1 ? { next_ms: 10 } : {};
    };
    const start = clock.now();
    const running = runPeriodically(
      { name: 'test', interval_ms: 100, first_ms: 1, run },
      { clock, log, signal: ending.signal, random: () => 0.5 },
    );
    await clock.advance(250);
    assert.deepEqual(
      rounds.map((each) => each - start),
      [1, 11, 111, 211],
    );
    assert.equal(lines.length, 1);
    ending.abort();
    await running;
  });
});

describe('housekeeping: secrets', () => {
  it('gives work to load balancers whose secrets were renewed, and not to others or for what is gone', async (t) => {
    const secrets = new FakeSecrets();
    const wake: string[] = [];
    const jobs = { jobs: 5, secrets, wake: (id: string) => void wake.push(id) };
    const { db, start, round } = await withHousekeeping(t, jobs);
    const tls = { protocol: 'TERMINATED_HTTPS', protocol_port: 443 } as const;
    const [one, two, three] = [await plant(db), await plant(db), await plant(db)];
    await db.tx(async (tx) => {
      await insert(tx, 'listener', { ...tls, id: randomUUID(), loadbalancer_id: one.loadbalancer, sni_container_refs: ['a', 'b'] });
      await insert(tx, 'listener', { ...tls, id: randomUUID(), loadbalancer_id: two.loadbalancer, default_tls_container_ref: 'c' });
      await insert(tx, 'pool', { id: randomUUID(), loadbalancer_id: three.loadbalancer, tls_enabled: true, ca_tls_container_ref: 'c' });
    });
    for (const ref of ['a', 'b', 'c']) secrets.putPayload(ref, ref);
    start();
    await round(60_000);
    await round(60_000);
    assert.deepEqual(wake, []);
    secrets.putPayload('b', 'renewed');
    secrets.remove('c');
    await round(60_000);
    assert.deepEqual(wake, [one.loadbalancer]);
    // It comes back as another one.
    secrets.putPayload('c', 'renewed');
    await round(60_000);
    assert.deepEqual(wake.slice(1).toSorted(), [two.loadbalancer, three.loadbalancer].toSorted());
  });

  it('tells of certificates and authorities that end soon, or cannot be read any more, with the load balancer', async (t) => {
    const secrets = new FakeSecrets();
    const { log, lines } = recordingLogger();
    const ends_ms = Date.parse(new X509Certificate(fixture('rsa.crt')).validTo);
    const clock = new FakeClock(ends_ms - 15 * 86_400_000);
    const few = { cleanup_interval: 86_400, forgotten_interval: 0, secret_interval: 0, cert_interval: 21_600 };
    const { db, start, round } = await withHousekeeping(t, { jobs: 3, secrets, log, clock, ...few });
    const { loadbalancer } = await plant(db);
    const refs = { default_tls_container_ref: 'web', client_ca_tls_container_ref: 'issuer', client_crl_container_ref: 'list' };
    await db.tx((tx) =>
      insert(tx, 'listener', {
        protocol: 'TERMINATED_HTTPS',
        protocol_port: 443,
        id: randomUUID(),
        loadbalancer_id: loadbalancer,
        ...refs,
      }),
    );
    secrets.putCertificate('web', { certificate: fixtureText('rsa.crt'), key: new Secret(fixtureText('rsa.key')) });
    secrets.putPayload('issuer', fixture('issuer.crt'));
    secrets.putPayload('list', fixture('issuer.crl'));
    const told = () =>
      lines.filter(({ loadbalancer_id }) => loadbalancer_id === loadbalancer).map(({ ref, msg }) => `${String(ref)}: ${String(msg)}`);
    start();
    await round(1000);
    assert.deepEqual(told(), []);
    await round(2 * 86_400_000 - 3_600_000);
    const soon = 'a certificate of a load balancer ends soon';
    // At a look every six hours the same is told once a day.
    assert.deepEqual(told().toSorted(), [`issuer: ${soon}`, `web: ${soon}`]);
    secrets.remove('web');
    lines.length = 0;
    await round(14 * 86_400_000);
    assert.deepEqual([...new Set(told())].filter((line) => !line.endsWith(soon)).toSorted(), [
      'issuer: a certificate of a load balancer has ended',
      'web: a secret that a load balancer uses cannot be read any more',
    ]);
  });
});
