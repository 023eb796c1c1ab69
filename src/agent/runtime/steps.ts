/** What a plan for a running HAProxy is made from, and what it says. */
import type { ConfigSection } from '../../wire/haproxy-text.ts';
import type { ListKind } from '../../wire/list-files.ts';
import type { Seen } from './seen.ts';

/** One thing to do. The worker must answer a command with exactly `answer`. */
export type Step =
  | { readonly do: 'command'; readonly command: string; readonly answer: string }
  /** Another content for a list, all at once. */
  | { readonly do: 'list'; readonly kind: ListKind; readonly path: string; readonly entries: readonly string[] }
  /** The content of `source` for a certificate that the worker has under `path`, or will have when it is new. */
  | { readonly do: 'certificate'; readonly path: string; readonly source: string; readonly is_new: boolean }
  /** A certificate that a list of a listener begins or ends to have. */
  | { readonly do: 'entry'; readonly change: 'add' | 'del'; readonly list: string; readonly path: string }
  /** Away with a certificate that no list has. */
  | { readonly do: 'forget'; readonly path: string }
  /** Away with a server that takes no connections any more; it may have to wait for those that it has. */
  | { readonly do: 'remove'; readonly server: string };

/** What to do: the steps of each kind in this order make no moment without a server. */
export type RuntimePlan =
  | { readonly by: 'commands'; readonly steps: readonly Step[]; readonly tls: TlsHeld }
  | { readonly by: 'reload'; readonly reason: string };

/**
 * Files with secrets that a worker has loaded: by the path under which it has them, the name of the file whose content it has;
 * empty where a change was broken off.
 */
export type TlsHeld = Readonly<Record<string, string>>;

/** Words of `server` lines, by `<backend>/<server>`. */
export type ServerLines = Readonly<Record<string, readonly (readonly string[])[]>>;

/** What a plan is made from. */
export type PlanInput = {
  /** The configuration that the worker holds, but for what commands change. */
  readonly held: string;
  /** Lines that a server may have besides those of `held`, by `<backend>/<server>`: of changes that were begun, and of servers that are leaving. */
  readonly extra: ServerLines;
  readonly wanted: string;
  /** Entries of the lists that `wanted` names, by name. */
  readonly lists: ReadonlyMap<string, readonly string[]>;
  readonly tls: TlsHeld;
  /** The lists of certificates that `wanted` names: paths of certificates, by path. */
  readonly crtLists: ReadonlyMap<string, readonly string[]>;
  readonly seen: Seen;
  /** HAProxy's version, for example 2.6. */
  readonly version: number;
};

/** A backend that is the same in both configurations but for its servers. */
export type BackendPair = { readonly held: ConfigSection; readonly wanted: ConfigSection };
