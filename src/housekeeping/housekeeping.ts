/** Housekeeping: purges what is deleted, renews certificates in time, removes strays, and looks after what might be forgotten. */
import type { Compute } from '../cloud/compute.ts';
import type { PortService } from '../cloud/network.ts';
import type { Secrets } from '../cloud/secrets.ts';
import type { Database } from '../db/database.ts';
import { purgeDeleted } from '../db/purge.ts';
import { askForPasses, claimDueCertificates, listSettled, restartForgotten } from '../db/upkeep.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import { type Job, runPeriodically } from './periodic.ts';
import { tellingExpiry } from './expiring.ts';
import { watchingSecrets } from './renewals.ts';
import { Sweep } from './sweep.ts';

/** What housekeeping is started with. Names, meanings and units (seconds) of the first group are those of `[house_keeping]`. */
export type HousekeepingOptions = {
  readonly db: Database;
  readonly log: Logger;
  readonly clock?: Clock;
  readonly cleanup_interval: number;
  readonly amphora_expiry_age: number;
  readonly load_balancer_expiry_age: number;
  readonly cert_interval: number;
  readonly cert_expiry_buffer: number;
  readonly cert_rotate_threads: number;
  /** Seconds between two looks for strays and lost instances; default 30, 0: never. */
  readonly stray_interval?: number;
  /** Seconds between two looks for load balancers whose work was forgotten; default 30. */
  readonly forgotten_interval?: number;
  /** Seconds between two checks for drift; default 60, 0: never. */
  readonly drift_interval?: number;
  /** ACTIVE load balancers that each check has a worker compare with reality; default 5. */
  readonly drift_batch?: number;
  /** Absent: the cloud is not looked at. */
  readonly compute?: Compute;
  /** Absent: secrets are not watched. */
  readonly secrets?: Secrets;
  /** Seconds between two looks for secrets that were renewed; default 60. */
  readonly secret_interval?: number;
  readonly ports?: PortService;
  /** Providers whose load balancers are nobody's work; default `noop_driver`, which never reports back. */
  readonly idle_providers?: readonly string[];
  /** Tells a worker that there is work; it may get lost. */
  readonly wake?: (loadbalancer_id: string) => void;
  /** Numbers in [0, 1) for jitter. */
  readonly random?: () => number;
};

/** Running housekeeping. */
export interface Housekeeping {
  /** Lets the rounds that are under way end. */
  stop(): Promise<void>;
}

/** First rounds come soon after the start: after a reboot of the machine every instance is lost. */
const firstRound_ms = 1000;
/** When something was found that must be found twice, or more is left to do, the next round comes sooner. */
const again_ms = 5000;

/** Starts all jobs. Any number of controllers may run them at once: each change is conditional, and removing twice is success. */
export function startHousekeeping(options: HousekeepingOptions): Housekeeping {
  const { clock = systemClock, log, random = Math.random } = options;
  const ending = new AbortController();
  const rounds = { clock, log, random, signal: ending.signal };
  const running = jobsOf({ ...options, clock }).map((job) => runPeriodically(job, rounds));
  return {
    async stop() {
      ending.abort(new Error('housekeeping stops'));
      await Promise.all(running);
    },
  };
}

type Running = HousekeepingOptions & { readonly clock: Clock };

/** The jobs that are asked for. */
function jobsOf(options: Running): Job[] {
  const { stray_interval = 30, forgotten_interval = 30, drift_interval = 60, secret_interval = 60, compute, ports, secrets } = options;
  const job = (name: string, interval: number, run: Job['run']): Job[] =>
    interval <= 0 ? [] : [{ name, interval_ms: interval * 1000, first_ms: Math.min(firstRound_ms, interval * 1000), run }];
  return [
    ...job('purge', options.cleanup_interval, () => purge(options)),
    ...job('certificates', options.cert_interval, () => renewCertificates(options)),
    ...(compute === undefined && ports === undefined ? [] : job('strays', stray_interval, sweeping(options))),
    ...job('forgotten', forgotten_interval, () => restart(options)),
    ...(secrets === undefined
      ? []
      : [
          ...job('secrets', secret_interval, watchingSecrets({ ...options, secrets, wake: (id) => options.wake?.(id) })),
          ...job('expiry', options.cert_interval, tellingExpiry({ ...options, secrets })),
        ]),
    ...job('drift', drift_interval, driftChecks(options)),
  ];
}

async function purge({ db, clock, log, amphora_expiry_age, load_balancer_expiry_age }: Running): Promise<{ next_ms?: number }> {
  const now = clock.now();
  const purged = await purgeDeleted(db, {
    amphorae: octaviaTime(now - amphora_expiry_age * 1000),
    loadbalancers: octaviaTime(now - load_balancer_expiry_age * 1000),
    silent_ms: amphora_expiry_age * 1000,
  });
  if (purged.amphorae + purged.loadbalancers + purged.leftovers > 0) log.info(purged, 'rows of deleted resources were purged');
  return {};
}

async function renewCertificates(options: Running): Promise<{ next_ms?: number }> {
  const { db, clock, log, cert_expiry_buffer, cert_rotate_threads, wake } = options;
  const claimed = await claimDueCertificates(db, octaviaTime(clock.now() + cert_expiry_buffer * 1000), cert_rotate_threads);
  for (const each of claimed) {
    log.info(each, 'the certificate of an amphora comes due and is renewed');
    wake?.(each.loadbalancer_id);
  }
  return claimed.length < cert_rotate_threads ? {} : { next_ms: again_ms };
}

function sweeping({ db, log, compute, ports, wake }: Running): Job['run'] {
  const sweep = new Sweep({ db, log, compute: compute ?? null, ports: ports ?? null, wake: (id) => wake?.(id) });
  return async () => ((await sweep.run()).suspects > 0 ? { next_ms: again_ms } : {});
}

async function restart({ db, log, wake, idle_providers = ['noop_driver'] }: Running): Promise<{ next_ms?: number }> {
  for (const loadbalancer_id of await restartForgotten(db, idle_providers)) {
    log.error({ loadbalancer_id }, 'a load balancer was PENDING and nobody had work for it; it has now');
    wake?.(loadbalancer_id);
  }
  return {};
}

/** Each round takes the next few by id; from the end it goes back to the beginning. */
function driftChecks({ db, wake, drift_batch = 5, idle_providers = ['noop_driver'] }: Running): Job['run'] {
  let after = '';
  return async () => {
    const ids = await listSettled(db, after, drift_batch, idle_providers);
    after = ids.length < drift_batch ? '' : ids.at(-1)!;
    if (ids.length > 0) for (const id of await askForPasses(db, ids)) wake?.(id);
    return {};
  };
}

/** UTC as the API writes it. */
const octaviaTime = (ms: number): string => new Date(ms).toISOString().slice(0, 19);
