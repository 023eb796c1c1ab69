/**
 * The engine of UDP and SCTP: a process in the traffic namespace beside HAProxy that keeps the kernel's rules those of the
 * configuration and of the members' health. The rules outlive it: killed, it is started again, and traffic goes on meanwhile.
 */
import { isIPv6 } from 'node:net';
import { setTimeout as after } from 'node:timers/promises';
import { CommandError } from '../../lib/run.ts';
import { type DatagramConfig, readDatagramConfig } from '../../wire/datagram.ts';
import type { ListenerBeat, PoolBeat } from '../../wire/heartbeat.ts';
import { readIfThere, replaceFile } from '../files.ts';
import { md5Of } from '../runtime/wanted.ts';
import type { Log } from '../log.ts';
import { beatsOf } from './beats.ts';
import { DatagramHealth } from './health.ts';
import { allowForwarding, applyScript, countFlows, endFlows, forgetClients, readCounters, readPresent, removeTable } from './kernel.ts';
import { namesOf, type Present, type Rules, rulesOf, script } from './nft.ts';

/** What the engine tells the agent by its state file. */
export type DatagramState = {
  readonly pid: number;
  /** MD5 of the configuration that was applied last; null: none yet. */
  readonly md5: string | null;
  /** MD5 of one that could not be applied, and why. */
  readonly refused: { readonly md5: string; readonly reason: string } | null;
  readonly listeners: Readonly<Record<string, ListenerBeat>>;
  readonly pools: Readonly<Record<string, PoolBeat>>;
};

const LOOK_EVERY_MS = 1000;
/** Counting flows costs the more the more there are; only the choice of the least loaded needs it often. */
const LOOKS_PER_COUNT = 5;

/** Runs until it is aborted. */
export class DatagramEngine {
  readonly #files: { readonly config: string; readonly state: string };
  readonly #log: Log;
  readonly #health = new DatagramHealth(() => this.wake());
  #wake = new AbortController();
  #config: DatagramConfig = { listeners: [] };
  #md5: string | null = null;
  #refused: DatagramState['refused'] = null;
  #present: Present | null = null;
  #flows: ReadonlyMap<number, number> = new Map();
  #down: ReadonlySet<number> = new Set();
  #complained = '';

  constructor(files: { readonly config: string; readonly state: string }, log: Log) {
    this.#files = files;
    this.#log = log;
  }

  /** Looks again now: the configuration or a member's health is another. */
  wake(): void {
    this.#wake.abort();
  }

  /** Works until `signal` is aborted; the rules stay. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.wake(), { once: true });
    allowForwarding();
    for (let looks = 0; !signal.aborted; looks += 1) {
      this.#wake = new AbortController();
      try {
        await this.#look(looks);
        this.#complained = '';
      } catch (error) {
        this.#complain(error);
      }
      await after(LOOK_EVERY_MS, undefined, { signal: this.#wake.signal }).catch(() => undefined);
    }
    this.#health.stop();
  }

  async #look(looks: number): Promise<void> {
    const text = (await readIfThere(this.#files.config)) ?? '{"listeners":[]}';
    const md5 = md5Of(text);
    if (md5 !== this.#md5 && md5 !== this.#refused?.md5) await this.#take(text, md5);
    const isLeast = this.#config.listeners.some(({ pool }) => pool?.algorithm === 'least_connections');
    if (isLeast || looks % LOOKS_PER_COUNT === 0) this.#flows = await countFlows(this.#families());
    await this.#apply(this.#config);
    await this.#tell();
  }

  /** A new configuration: applied as a whole, or refused as a whole while the old one stays. */
  async #take(text: string, md5: string): Promise<void> {
    try {
      const config = readDatagramConfig(text);
      await this.#apply(config);
      this.#config = config;
      this.#md5 = md5;
      this.#refused = null;
      this.#health.watch(config);
    } catch (error) {
      if (!(error instanceof CommandError || error instanceof TypeError || error instanceof SyntaxError)) throw error;
      this.#present = null;
      this.#refused = { md5, reason: error instanceof CommandError ? error.stderr.slice(0, 500) : error.message };
      this.#log('error', 'a datagram configuration cannot be applied', { error });
    }
  }

  async #apply(config: DatagramConfig): Promise<void> {
    if (config.listeners.length === 0) {
      if (this.#present === null || this.#present.chains.size > 0) await removeTable();
      this.#present = { chains: new Map(), counters: new Set(), maps: new Map() };
    } else {
      const rules = rulesOf(config, { isUp: (mark) => this.#health.isUp(mark), flows: (mark) => this.#flows.get(mark) ?? 0 });
      await this.#bring(rules);
    }
    await this.#moveFlows(config);
  }

  async #bring(rules: Rules): Promise<void> {
    try {
      const text = script(rules, (this.#present ??= await readPresent()));
      // Its first line is always there.
      if (text.indexOf('\n') < text.length - 1) await applyScript(text);
      this.#present = rules;
    } catch (error) {
      // Somebody else may have had a hand in it: what is there is read anew.
      this.#present = null;
      throw error;
    }
  }

  /** Flows to members that are gone, down or switched off go to others with their next packet. */
  async #moveFlows(config: DatagramConfig): Promise<void> {
    const members = config.listeners.flatMap(({ pool }) => pool?.members ?? []);
    const able = new Set(members.filter(({ mark, admin_state_up }) => admin_state_up && this.#health.isUp(mark)).map(({ mark }) => mark));
    const before = this.#config.listeners.flatMap(({ pool }) => (pool?.members ?? []).map(({ mark }) => mark));
    const down = new Set([...before, ...members.map(({ mark }) => mark)].filter((mark) => !able.has(mark)));
    const fresh = new Set([...down].filter((mark) => !this.#down.has(mark)));
    this.#down = down;
    if (fresh.size === 0) return;
    for (const listener of config.listeners) {
      if (listener.pool?.persistence == null) continue;
      const { clients4, clients6 } = namesOf(listener);
      for (const map of [clients4, clients6]) await forgetClients(map, fresh);
    }
    for (const mark of fresh) await endFlows(mark);
  }

  async #tell(): Promise<void> {
    const counters = this.#config.listeners.length === 0 ? new Map<string, never>() : await readCounters();
    const beats = beatsOf(this.#config, { counters, flows: this.#flows, isUp: (mark) => this.#health.isUp(mark) });
    const state: DatagramState = { pid: process.pid, md5: this.#md5, refused: this.#refused, ...beats };
    await replaceFile(this.#files.state, JSON.stringify(state));
  }

  #families(): readonly ('ipv4' | 'ipv6')[] {
    const vips = this.#config.listeners.flatMap((listener) => listener.vips);
    return (['ipv4', 'ipv6'] as const).filter((family) => vips.some((vip) => isIPv6(vip) === (family === 'ipv6')));
  }

  /** Once per kind of trouble, not once a second. */
  #complain(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    if (message !== this.#complained) this.#log('error', 'datagrams are not looked after', { error });
    this.#complained = message;
  }
}
