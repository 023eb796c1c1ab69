/** What a running worker says that it holds: the answers of its stats socket, read. Pure. */

/** A server as it is in the worker. */
export type SeenServer = {
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  /** Takes no connections because it was told so: `disabled`, `set server … state maint`. */
  readonly is_maint: boolean;
  /** Told to take no new sessions. */
  readonly is_drained: boolean;
  readonly is_probed: boolean;
  /** Null: its own. */
  readonly check_addr: string | null;
  readonly check_port: number | null;
};

/** A worker's present state as far as commands can change it. */
export type Seen = {
  /** By `<backend>/<server>`. */
  readonly servers: ReadonlyMap<string, SeenServer>;
  /** Connection limits of frontends. */
  readonly limits: ReadonlyMap<string, number>;
  /** Entries of lists by the path that they were loaded from. */
  readonly lists: ReadonlyMap<string, readonly string[]>;
  /** Certificates in the lists of listeners, by the path that the list was loaded from. */
  readonly crt_lists: ReadonlyMap<string, readonly string[]>;
};

const FORCED_MAINT = 1;
const FORCED_DRAIN = 8;
const CHECK_ENABLED = 4;

/** Reads `show servers state` (management guide, 2.4 to 3.x: columns are found by their names). Throws `Error` when it is something else. */
export function parseServersState(text: string): Map<string, SeenServer> {
  const rows = text.split('\n');
  const header = rows.find((row) => row.startsWith('# '));
  if (header === undefined) throw new Error('HAProxy did not answer with the state of its servers');
  const columns = header.slice(2).split(' ');
  const servers = new Map<string, SeenServer>();
  for (const row of rows) {
    const fields = row.split(' ');
    if (row.startsWith('#') || fields.length < columns.length - 3) continue;
    const at = (name: string): string => fields[columns.indexOf(name)] ?? '';
    const admin = Number(at('srv_admin_state'));
    const port = Number(at('srv_check_port'));
    const addr = at('srv_check_addr');
    servers.set(`${at('be_name')}/${at('srv_name')}`, {
      address: at('srv_addr'),
      port: Number(at('srv_port')),
      weight: Number(at('srv_uweight')),
      is_maint: (admin & FORCED_MAINT) !== 0,
      is_drained: (admin & FORCED_DRAIN) !== 0,
      is_probed: (Number(at('srv_check_state')) & CHECK_ENABLED) !== 0,
      check_addr: addr === '-' || addr === '' ? null : addr,
      check_port: port > 0 ? port : null,
    });
  }
  return servers;
}

/** Reads the frontends' limits in `show stat`. Throws `Error` when it is something else. */
export function parseLimits(text: string): Map<string, number> {
  const start = text.indexOf('# pxname,');
  if (start < 0) throw new Error('HAProxy did not answer with its statistics');
  const [header = '', ...rows] = text.slice(start + 2).split('\n');
  const columns = header.split(',');
  const limits = new Map<string, number>();
  for (const row of rows) {
    const fields = row.split(',');
    if (fields[columns.indexOf('svname')] === 'FRONTEND') limits.set(fields[0] ?? '', Number(fields[columns.indexOf('slim')]));
  }
  return limits;
}

/** The paths in `show acl` or `show map`. */
export function parseListPaths(text: string): readonly string[] {
  return [...text.matchAll(/^-?\d+ \(([^)]+)\)/gmu)].map((match) => match[1] ?? '');
}

/** The certificates in `show ssl crt-list <path>`. */
export function parseCrtList(text: string): readonly string[] {
  return text.split('\n').flatMap((row) => (row === '' || row.startsWith('#') ? [] : [row.split(' ')[0] ?? '']));
}

/** The SHA-1 in `show ssl cert <path>`, in upper-case hexadecimal; undefined when it shows none. */
export function parseFingerprint(text: string): string | undefined {
  return /^SHA1 FingerPrint: ([0-9A-F]+)$/mu.exec(text)?.[1];
}

/** The entries in `show acl <path>` or `show map <path>`: each line begins with an address in memory. */
export function parseListEntries(text: string): readonly string[] {
  return text
    .split('\n')
    .filter((row) => row !== '')
    .map((row) => row.replace(/^0x[0-9a-f]+ /u, '').trimEnd());
}
