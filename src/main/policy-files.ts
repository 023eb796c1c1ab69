/** The files of rules (`[oslo_policy]`): reading them, and reading them again when they change. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { createPolicy, type Policy, PolicyError } from '../api/policy/policy.ts';
import type { Config } from '../config/table.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import { StartRefused } from './state.ts';

/** The rules in force, kept current. */
export type LivePolicy = { readonly current: () => Policy; readonly stop: () => void };

/** How often the files are looked at. */
const LOOK_MS = 1000;

/** What the files were when they were read: other text means that something changed. */
type Seen = { readonly files: readonly string[]; readonly signature: string };

/**
 * Reads the rules and follows their files. Rules that cannot be used later are logged, and those in force stay. Throws
 * `StartRefused` when they cannot be used now. `beside` is the folder of the configuration.
 */
export function openPolicy(config: Config, beside: string, clock: Clock, log: Logger): LivePolicy {
  let seen = look(config, beside);
  let policy: Policy;
  try {
    policy = read(config, seen.files, log);
  } catch (error) {
    throw new StartRefused((error as Error).message, { cause: error });
  }
  const ending = new AbortController();
  const follow = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(LOOK_MS, ending.signal);
      const now = look(config, beside);
      if (now.signature === seen.signature) continue;
      seen = now;
      try {
        policy = read(config, now.files, log);
        log.info({ files: now.files }, 'the rules of who may do what were read anew');
      } catch (error) {
        log.error({ err: error }, 'the changed rules cannot be used: those in force stay');
      }
    }
  };
  follow().catch(() => undefined);
  return { current: () => policy, stop: () => ending.abort() };
}

/** Which files there are, and in which state. */
function look({ oslo_policy: options, local }: Config, beside: string): Seen {
  const folders = [beside, local.state_dir].filter((each) => each !== '' && each !== '.');
  const placesOf = (name: string): string[] => [...new Set(folders.map((folder) => resolve(folder, name)))];
  const named = placesOf(options.policy_file);
  const file = named.find(isThere);
  // The usual name may be absent; one that somebody wrote may not.
  const main = file ?? (options.policy_file === 'policy.yaml' ? undefined : named[0]);
  const more = options.policy_dirs.flatMap((dir) => placesOf(dir).flatMap(filesIn));
  const files = [...(main === undefined ? [] : [main]), ...new Set(more)];
  return { files, signature: files.map(stateOf).join('\n') };
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function stateOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? `${path} absent` : `${path} ${found.ino} ${found.mtimeMs} ${found.size}`;
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((each) => !each.name.startsWith('.') && !each.isDirectory())
      .map((each) => join(folder, each.name))
      .toSorted();
  } catch {
    return [];
  }
}

function read({ oslo_policy: options }: Config, files: readonly string[], log: Logger): Policy {
  const overrides = new Map(files.flatMap((path) => Object.entries(rulesIn(path))));
  const { enforce_scope, enforce_new_defaults, policy_default_rule: default_rule } = options;
  const policy = inFiles(files, () => createPolicy({ overrides, enforce_scope, enforce_new_defaults, default_rule }));
  for (const warning of policy.warnings) log.warn({ files }, warning);
  return policy;
}

function inFiles<T>(files: readonly string[], work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof PolicyError) throw new PolicyError(`${files.join(', ')}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** The rules of one file by name; an empty file has none. Throws `PolicyError`. */
function rulesIn(path: string): Record<string, unknown> {
  let rules: unknown;
  try {
    rules = parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const [first = ''] = (error as Error).message.split('\n');
    throw new PolicyError(`The policy file ${path} cannot be read (${first.replace(/[.:]+$/u, '')}).`, { cause: error });
  }
  if (rules === null || rules === undefined) return {};
  if (typeof rules !== 'object' || Array.isArray(rules)) throw new PolicyError(`The policy file ${path} does not hold names with rules.`);
  return rules as Record<string, unknown>;
}
