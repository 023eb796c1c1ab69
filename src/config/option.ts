/** One option of the configuration as data, and the functions that write such data short. */

/** An address to send to: `10.0.0.1:5555` or `[fd00::1]:5555` in the file. */
export type HostPort = { readonly host: string; readonly port: number };

/** What each kind of option is in the program. A secret is a `Secret`; see `Config`. */
export type Kinds = {
  readonly string: string;
  readonly integer: number;
  readonly float: number;
  readonly boolean: boolean;
  /** Written `a, b, c`. */
  readonly list: readonly string[];
  /** Written `key: text, key: text`. */
  readonly dict: Readonly<Record<string, string>>;
  /** Written `host:port, [v6]:port`. */
  readonly hosts: readonly HostPort[];
  readonly secret: string;
};

/** The name of a kind. */
export type Kind = keyof Kinds;

/** What may be said about an option besides kind, default and sentence. */
export type Extras<T> = {
  /** The default on one machine (`[local] enabled`), where it differs. */
  readonly local?: T;
  /** Seconds, bytes, days…: for people; numbers are taken as they are. */
  readonly unit?: string;
  /** A signal SIGHUP takes a new value over without a restart. */
  readonly mutable?: boolean;
  readonly min?: number;
  readonly max?: number;
  /** The only values accepted. */
  readonly choices?: readonly string[];
  /** An environment variable that wins over the files, besides `OS_<GROUP>__<OPTION>`. */
  readonly env?: string;
};

/** One option. A default of null means: not set, and what that means says the sentence. */
export type Option<K extends Kind = Kind, D = unknown> = Extras<D> & { readonly kind: K; readonly default: D; readonly doc: string };

/** The options of one group by name. */
export type Group = Readonly<Record<string, Option>>;

type Maker<K extends Kind> = {
  (initial: Kinds[K], doc: string, extras?: Extras<Kinds[K]>): Option<K, Kinds[K]>;
  (initial: null, doc: string, extras?: Extras<Kinds[K] | null>): Option<K, Kinds[K] | null>;
};

function maker<K extends Kind>(kind: K): Maker<K> {
  return ((initial: unknown, doc: string, extras: Extras<unknown> = {}) => ({ ...extras, kind, default: initial, doc })) as Maker<K>;
}

/** A text; `$other` and `${group.other}` in it (in its default, too) stand for other options. */
export const text = maker('string');
/** A whole number. */
export const integer = maker('integer');
/** A number. */
export const float = maker('float');
/** true/false, yes/no, on/off, 1/0. */
export const flag = maker('boolean');
/** Texts with commas between. */
export const list = maker('list');
/** Keys and texts. */
export const dict = maker('dict');
/** Addresses with ports. */
export const hosts = maker('hosts');
/** A text that is printed nowhere. */
export const secret = maker('secret');
