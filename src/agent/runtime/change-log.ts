/** How changes were made, counted: for operators, who want to know why HAProxy was reloaded. */
import type { ChangeCounts, ChangeReport } from '../../wire/agent-api.ts';
import { readJsonIfThere, replaceFile } from '../files.ts';

type Counts = Omit<ChangeCounts, 'old_workers' | 'leaving'>;

const REMEMBERED_RELOADS = 5;
/** They are told in heartbeats, which have to fit into a datagram. */
const REASON_LENGTH = 200;
const none: Counts = { by_commands: 0, reloads: 0, starts: 0, crashes: 0, repairs: 0, last_reloads: [] };

/** Counts since the amphora booted. */
export class ChangeLog {
  readonly #path: string;
  #counts: Counts | undefined;

  constructor(run_dir: string) {
    this.#path = `${run_dir}/changes.json`;
  }

  /** The counts. */
  async counts(): Promise<Counts> {
    this.#counts ??= { ...none, ...(await readJsonIfThere<Counts>(this.#path)) };
    return this.#counts;
  }

  /** Counts a change. */
  async note({ how, reason, took_ms }: ChangeReport): Promise<void> {
    const counts = await this.counts();
    if (how === 'commands') await this.#keep({ ...counts, by_commands: counts.by_commands + 1 });
    if (how === 'start') await this.#keep({ ...counts, starts: counts.starts + 1 });
    if (how !== 'reload') return;
    const last_reloads = [
      { at: new Date().toISOString(), reason: (reason ?? '').slice(0, REASON_LENGTH), took_ms },
      ...counts.last_reloads,
    ];
    await this.#keep({ ...counts, reloads: counts.reloads + 1, last_reloads: last_reloads.slice(0, REMEMBERED_RELOADS) });
  }

  /** Counts an end of HAProxy that nobody asked for. */
  async noteCrash(): Promise<void> {
    const counts = await this.counts();
    await this.#keep({ ...counts, crashes: counts.crashes + 1 });
  }

  /** Counts what was put right. */
  async noteRepairs(count: number): Promise<void> {
    const counts = await this.counts();
    await this.#keep({ ...counts, repairs: counts.repairs + count });
  }

  async #keep(counts: Counts): Promise<void> {
    this.#counts = counts;
    await replaceFile(this.#path, JSON.stringify(counts));
  }
}
