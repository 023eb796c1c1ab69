/** What is remembered of an instance: one JSON file in its own folder, so that nothing but the folder is needed to find and mend it. */
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isUuid } from '../../../lib/ids.ts';
import type { ManagementAddress } from '../fabric/wiring.ts';
import type { ProcessId } from './processes.ts';

/** An instance as it is wanted, and what of it was there when the record was last written. */
export type InstanceRecord = {
  readonly compute_id: string;
  readonly name: string;
  readonly amphora_id: string;
  readonly loadbalancer_id: string;
  readonly compute_flavor: string | null;
  readonly availability_zone: string | null;
  readonly created_ms: number;
  /** False: it is being deleted. */
  readonly is_wanted: boolean;
  /** Null: no address was asked for, or the answer was lost; asking again gives the same one. */
  readonly management: ManagementAddress | null;
  /** Ports wanted in it; `is_plugged` false: the wire may or may not be there. */
  readonly ports: readonly { readonly port_id: string; readonly is_plugged: boolean }[];
  /** Its init, and the inodes of the namespaces that it and its wires are in; null: never started. */
  readonly running: Running | null;
  /** When its init was found dead or did not start, latest last, in milliseconds since the epoch. */
  readonly deaths_ms: readonly number[];
  /** Why it was given up. */
  readonly fault: string | null;
};

/** A start of an instance. */
export type Running = {
  readonly init: ProcessId;
  /** Start times count from the boot, so a process is the same only within one. */
  readonly boot_id: string;
  readonly inodes: NamespaceInodes;
  /** The folder of programs that it runs, which must stay as long as it does. */
  readonly runtime: string;
};

/** Which namespaces an instance and its wires were made in. */
export type NamespaceInodes = { readonly management: number; readonly traffic: number; readonly fabric: number };

/** Places of an instance on the host. */
export type InstancePlaces = {
  readonly folder: string;
  readonly record: string;
  readonly files: string;
  readonly log: string;
  readonly lock: string;
};

/** The places of an instance. Throws unless the id is a UUID: it becomes part of paths. */
export function instancePlaces(state_dir: string, compute_id: string): InstancePlaces {
  if (!isUuid(compute_id)) throw new Error(`not an instance id: ${JSON.stringify(compute_id)}`);
  const folder = join(state_dir, 'instances', compute_id);
  return {
    folder,
    record: join(folder, 'instance.json'),
    files: join(folder, 'files'),
    log: join(folder, 'console.log'),
    lock: join(folder, 'lock'),
  };
}

/** Reads and writes the records of a state folder; unchanged files are not read again. */
export class InstanceRecords {
  readonly #state_dir: string;
  readonly #cache = new Map<string, { readonly stamp: string; readonly record: InstanceRecord }>();

  constructor(state_dir: string) {
    this.#state_dir = state_dir;
  }

  /** The ids of all instance folders, also of those without a readable record. */
  ids(): readonly string[] {
    try {
      return readdirSync(join(this.#state_dir, 'instances')).filter(isUuid);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }

  /** The record of an instance; null when there is none or it was torn by a crash of the machine. */
  find(compute_id: string): InstanceRecord | null {
    const { record: path } = instancePlaces(this.#state_dir, compute_id);
    try {
      const { ino, mtimeMs, size } = statSync(path);
      const stamp = `${ino} ${mtimeMs} ${size}`;
      const cached = this.#cache.get(compute_id);
      if (cached?.stamp === stamp) return cached.record;
      const record = JSON.parse(readFileSync(path, 'utf8')) as InstanceRecord;
      if (record.compute_id !== compute_id) return null;
      this.#cache.set(compute_id, { stamp, record });
      return record;
    } catch {
      this.#cache.delete(compute_id);
      return null;
    }
  }

  /**
   * Replaces a record. Not synced to the disk: what it describes dies with the machine, and a record that is lost then only makes
   * its instance be replaced.
   */
  write(record: InstanceRecord): InstanceRecord {
    const { folder, record: path } = instancePlaces(this.#state_dir, record.compute_id);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const temporary = `${path}.new`;
    writeFileSync(temporary, JSON.stringify(record, null, 1), { mode: 0o600 });
    renameSync(temporary, path);
    return record;
  }

  /** Removes the folder of an instance with everything in it. */
  remove(compute_id: string): void {
    this.#cache.delete(compute_id);
    rmSync(instancePlaces(this.#state_dir, compute_id).folder, { recursive: true, force: true });
  }
}

/** Writes a file of an instance below its `files` folder. */
export function writeInstanceFile(files: string, path: string, contents: string, mode: number): void {
  const place = join(files, path);
  mkdirSync(dirname(place), { recursive: true, mode: 0o755 });
  writeFileSync(place, contents, { mode });
}

/** The id of this boot of the kernel. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
