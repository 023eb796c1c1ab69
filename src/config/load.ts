/** Reading the configuration: files, environment and overrides into one typed, frozen object. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfSyntaxError, readOsloConf, substitute } from '../lib/oslo-conf.ts';
import type { ConfEntry } from '../lib/oslo-conf.ts';
import { Secret } from '../lib/secret.ts';
import type { Group, Option } from './option.ts';
import { allOptions, table } from './table.ts';
import type { Config, GroupName, Overrides } from './table.ts';
import { formatValue, parseHostPort, parseValue, ValueError } from './values.ts';

/** Written by the first start: the configuration in force. Read when OCTAVIA_CONFIG is not set. */
export const EFFECTIVE_FILE = 'octavia.conf';
/** In the state folder: what the first start drew (keys, ranges). Read before all other files, so they win. */
export const DRAWN_FILE = 'drawn.conf';

/** A configuration that cannot be used; the message is one sentence for the operator. */
export class ConfigError extends Error {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'ConfigError';
  }
}

/** Where the configuration comes from. */
export type ConfigSources = {
  /** Files in order, later ones win. Not given: OCTAVIA_CONFIG, else octavia.conf in the state folder if it exists. */
  readonly files?: readonly string[] | undefined;
  /** Folders whose *.conf are read after the files. */
  readonly dirs?: readonly string[] | undefined;
  /** OCTAVIA_CONFIG, OCTAVIA_STATE_DIR, OCTAVIA_BIND, OS_<GROUP>__<OPTION>; the environment of the process unless given. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Win over everything: command line, tests. */
  readonly overrides?: Overrides | undefined;
  /** Told of options in known groups that nobody knows, one sentence each. */
  readonly warn?: ((sentence: string) => void) | undefined;
};

/** Where a text came from, for messages. */
type Found = { readonly text: string; readonly where: string };

/**
 * The configuration. Overrides win over the environment, it over files, they over defaults; on one machine
 * (`config.local.enabled`) some defaults differ. Throws `ConfigError`.
 */
export function loadConfig(sources: ConfigSources = {}): Config {
  const env = sources.env ?? process.env;
  const entries = readFiles(sources, env);
  warnOfUnknown(entries, sources.warn);
  const found = new Map<string, Found>();
  for (const { group, name, value, file, line } of entries) found.set(key(group, name), { text: value, where: `${file}:${line}: ` });
  for (const [at, each] of fromEnvironment(env)) found.set(at, each);
  found.set(key('local', 'state_dir'), { text: escaped(stateDir(sources, env)), where: '' });
  return new Resolver(found, (sources.overrides ?? {}) as Given, isLocal(entries, found, sources.overrides)).config();
}

/** The folder of everything that is kept: override, OCTAVIA_STATE_DIR, or `.octavia` in the project's root; absolute. */
export function stateDir(sources: ConfigSources = {}, env: ConfigSources['env'] = sources.env ?? process.env): string {
  return resolve(projectRoot, sources.overrides?.local?.state_dir ?? (env?.['OCTAVIA_STATE_DIR'] || '.octavia'));
}

const projectRoot = fileURLToPath(new URL('../..', import.meta.url));

function readFiles(sources: ConfigSources, env: Readonly<Record<string, string | undefined>>): ConfEntry[] {
  const folder = stateDir(sources, env);
  const effective = join(folder, EFFECTIVE_FILE);
  const chosen = sources.files ?? (env['OCTAVIA_CONFIG'] ? [env['OCTAVIA_CONFIG']] : existsSync(effective) ? [effective] : []);
  const drawn = join(folder, DRAWN_FILE);
  try {
    return readOsloConf({ files: [...(existsSync(drawn) ? [drawn] : []), ...chosen], dirs: sources.dirs ?? [] });
  } catch (error) {
    if (error instanceof ConfSyntaxError) throw new ConfigError(`${error.message}.`, { cause: error });
    const { path, code } = error as NodeJS.ErrnoException;
    throw new ConfigError(`The configuration ${path ?? chosen.join(', ')} cannot be read (${code ?? String(error)}).`, { cause: error });
  }
}

function key(group: string, name: string): string {
  return `${group.toLowerCase()}.${name.toLowerCase()}`;
}

/** A text in which no `$` is a reference. */
function escaped(text: string): string {
  return text.replaceAll('$', '$$$$');
}

function fromEnvironment(env: Readonly<Record<string, string | undefined>>): [string, Found][] {
  const found: [string, Found][] = [];
  for (const { group, name, option } of allOptions()) {
    for (const variable of [option.env, `OS_${group.toUpperCase()}__${name.toUpperCase()}`]) {
      const text = variable === undefined ? undefined : env[variable];
      if (text !== undefined && text !== '') found.push([key(group, name), { text, where: `environment ${variable}: ` }]);
    }
  }
  const bind = env['OCTAVIA_BIND'];
  if (bind !== undefined && bind !== '') found.push(...bindAddress(bind));
  return found;
}

function bindAddress(bind: string): [string, Found][] {
  const where = 'environment OCTAVIA_BIND: ';
  try {
    const { host, port } = parseHostPort(bind);
    return [
      [key('api_settings', 'bind_host'), { text: host, where }],
      [key('api_settings', 'bind_port'), { text: String(port), where }],
    ];
  } catch (error) {
    throw new ConfigError(`OCTAVIA_BIND is "${bind}"; it must be host:port, such as 127.0.0.1:9876 or [::1]:9876.`, { cause: error });
  }
}

/** Groups whose presence in a file says that there is an OpenStack. */
const openStackGroups = new Set(['keystone_authtoken', 'service_auth', 'nova', 'neutron']);

function isLocal(entries: readonly ConfEntry[], found: ReadonlyMap<string, Found>, overrides: Overrides | undefined): boolean {
  const said = found.get(key('local', 'enabled'));
  const given = overrides?.local?.enabled;
  if (given !== undefined) return given;
  if (said !== undefined) return ['true', '1', 'yes', 'on'].includes(said.text.toLowerCase());
  return !entries.some((entry) => openStackGroups.has(entry.group.toLowerCase()));
}

function warnOfUnknown(entries: readonly ConfEntry[], warn: ((sentence: string) => void) | undefined): void {
  if (warn === undefined) return;
  const groups = new Set(Object.keys(table).map((group) => group.toLowerCase()));
  const known = new Set(allOptions().map(({ group, name }) => key(group, name)));
  for (const { group, name, file, line } of entries) {
    // [DEFAULT] also holds the options of oslo.log, oslo.service and oslo.messaging, which a shared file may well have.
    if (group === 'DEFAULT' || !groups.has(group.toLowerCase()) || known.has(key(group, name))) continue;
    warn(`${file}:${line}: [${group}] ${name} is not an option of this program and has no effect.`);
  }
}

type Given = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;

/** Resolves references between options while it reads them. */
class Resolver {
  readonly #found: ReadonlyMap<string, Found>;
  readonly #given: Given;
  readonly #local: boolean;
  /** References being resolved, outermost first: one that comes again is a circle. */
  readonly #open: string[] = [];

  constructor(found: ReadonlyMap<string, Found>, given: Given, isLocalCloud: boolean) {
    this.#found = found;
    this.#given = given;
    this.#local = isLocalCloud;
  }

  config(): Config {
    const config: Record<string, Record<string, unknown>> = {};
    for (const { group, name, option } of allOptions()) (config[group] ??= {})[name] = this.#value(group, name, option);
    for (const each of Object.values(config)) Object.freeze(each);
    return Object.freeze(config) as unknown as Config;
  }

  #value(group: GroupName, name: string, option: Option): unknown {
    const given = this.#given[group]?.[name];
    if (given !== undefined) return option.kind === 'secret' && typeof given === 'string' ? new Secret(given) : given;
    const initial = this.#default(option);
    const found = this.#found.get(key(group, name));
    if (found === undefined && option.kind !== 'string' && option.kind !== 'secret') return initial;
    if (found === undefined && initial === null) return null;
    return this.#parsed(group, name, option, found ?? { text: initial as string, where: '' });
  }

  #default(option: Option): unknown {
    return this.#local && option.local !== undefined ? option.local : option.default;
  }

  #parsed(group: GroupName, name: string, option: Option, { text, where }: Found): unknown {
    try {
      return parseValue(option, this.#substituted(text, group, key(group, name)));
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      const shown = option.kind === 'secret' ? '' : ` = "${text}"`;
      throw new ConfigError(`${where}[${group}] ${name}${shown} ${error.message}.`, { cause: error });
    }
  }

  #substituted(text: string, group: GroupName, at: string): string {
    if (this.#open.includes(at)) throw new ValueError('refers to itself');
    this.#open.push(at);
    try {
      return substitute(text, (reference) => this.#referenced(reference, group));
    } finally {
      this.#open.pop();
    }
  }

  /** As oslo.config looks it up: `group.name`; else the name in the same group, then in [DEFAULT]. */
  #referenced(reference: string, group: GroupName): string {
    const candidates = reference.includes('.') ? [reference] : [key(group, reference), key('DEFAULT', reference)];
    for (const each of allOptions()) {
      if (!candidates.includes(key(each.group, each.name))) continue;
      const given = this.#given[each.group]?.[each.name];
      if (given !== undefined) return formatValue(each.option, given);
      const text = this.#found.get(key(each.group, each.name))?.text ?? formatValue(each.option, this.#default(each.option));
      return this.#substituted(text, each.group, key(each.group, each.name));
    }
    throw new ValueError(`refers to $${reference}, which is no option (write $$$$ for a dollar)`);
  }
}

/** The running configuration after SIGHUP: mutable options from the fresh one, all others as they were. */
export function withMutable(running: Config, fresh: Config): Config {
  const next: Record<string, unknown> = {};
  for (const [group, values] of Object.entries(running)) {
    const options = Object.entries((table as Readonly<Record<string, Group>>)[group] ?? {});
    const changing = new Set(options.filter(([, option]) => option.mutable === true).map(([name]) => name));
    const changed = Object.entries(fresh[group as GroupName]).filter(([name]) => changing.has(name));
    next[group] = Object.freeze({ ...values, ...Object.fromEntries(changed) });
  }
  return Object.freeze(next) as unknown as Config;
}
