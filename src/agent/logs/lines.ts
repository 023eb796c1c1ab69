/** Lines of logs: cut from what HAProxy writes, and made from what other programs say. RFC 3164, as rsyslog forwards. Pure. */

/** Complete lines, each with its line break. */
export type Lines = { readonly bytes: Buffer; readonly count: number };

/** What was cut: lines to pass on, the begun line after them, and how many lines are not what they should be. */
export type Cut = { readonly lines: Lines; readonly rest: Buffer; readonly strange: number };

/** Severities of RFC 5424, table 2. */
export const severities = { emerg: 0, alert: 1, crit: 2, err: 3, warning: 4, notice: 5, info: 6, debug: 7 } as const;

/** A severity. */
export type Severity = keyof typeof severities;

/** Syslog's number of the facility local0. */
const LOCAL0 = 16;
const LINE_BREAK = 10;
const BACKSLASH_BASE = 8;
/** `Mmm dd hh:mm:ss`. */
const TIME_BYTES = 15;
const none: Buffer = Buffer.alloc(0);

/** The priority as lines begin with it; `facility`: the number of localN. */
export function priority(facility: number, severity: Severity): string {
  return `<${(LOCAL0 + facility) * 8 + severities[severity]}>`;
}

/**
 * Cuts what was read from HAProxy's pipe into lines of connections. A line counts when it begins with `<priority>time hostname haproxy[`:
 * others of HAProxy (another severity) are for other logs. What begins otherwise is no line but the rest of the one before, which had a line
 * break in it: HAProxy writes the subject of a client's certificate as it is. It is joined as rsyslog does it, with `#012`; so are
 * all other control characters written. `hostname` has a random id, so that a line cannot be forged by who does not see it.
 */
export class LineCutter {
  readonly #priority: Buffer;
  readonly #origin: Buffer;
  #rest: Buffer = none;

  constructor(facility: number, hostname: string) {
    this.#priority = Buffer.from(priority(facility, 'info'));
    this.#origin = Buffer.from(` ${hostname} haproxy[`);
  }

  /** Takes what was read; keeps a begun line for the next time. The bytes are copied. */
  cut(read: Buffer): Cut {
    const bytes = this.#rest.length === 0 ? Buffer.from(read) : Buffer.concat([this.#rest, read]);
    const end = bytes.lastIndexOf(LINE_BREAK) + 1;
    this.#rest = bytes.subarray(end);
    const whole = bytes.subarray(0, end);
    const count = this.#cleanCount(whole);
    return count === undefined
      ? { ...this.#sorted(whole), rest: this.#rest }
      : { lines: { bytes: whole, count }, rest: this.#rest, strange: 0 };
  }

  /** How many lines; undefined when one of them needs more than to be passed on. */
  #cleanCount(bytes: Buffer): number | undefined {
    let [start, count] = [0, 0];
    for (let at = 0; at < bytes.length; at += 1) {
      const byte = bytes[at] ?? 0;
      if (byte >= 32 && byte !== 127) continue;
      if (byte !== LINE_BREAK || !this.#isHeader(bytes, start, this.#priority)) return undefined;
      start = at + 1;
      count += 1;
    }
    return count;
  }

  #isHeader(bytes: Buffer, start: number, prefix: Buffer): boolean {
    return isAt(bytes, start, prefix) && isAt(bytes, start + prefix.length + TIME_BYTES, this.#origin);
  }

  #sorted(bytes: Buffer): Omit<Cut, 'rest'> {
    const texts: string[] = [];
    let strange = 0;
    let isOurs = false;
    for (const line of bytes.subarray(0, -1).toString('latin1').split('\n')) {
      const head = /^<\d{1,3}>/u.exec(line)?.[0];
      const isHead = head !== undefined && this.#isHeader(Buffer.from(line, 'latin1'), 0, Buffer.from(head));
      if (isHead) {
        isOurs = head === this.#priority.toString();
        if (isOurs) texts.push(escapeControls(line));
      } else {
        strange += 1;
        if (isOurs) texts.push(`${texts.pop() ?? ''}#012${escapeControls(line)}`);
      }
    }
    return { lines: { bytes: Buffer.from(texts.map((text) => `${text}\n`).join(''), 'latin1'), count: texts.length }, strange };
  }
}

/** Byte by byte: `Buffer.compare` takes longer to be called than these are to be compared. */
function isAt(bytes: Buffer, start: number, expected: Buffer): boolean {
  for (let at = 0; at < expected.length; at += 1) if (bytes[start + at] !== expected[at]) return false;
  return true;
}

/** Control characters as rsyslog writes them: `#` and three octal digits. */
export function escapeControls(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u001f\u007f]/gu, (found) => `#${found.charCodeAt(0).toString(BACKSLASH_BASE).padStart(3, '0')}`);
}

/** What a line is made of besides its text. */
export type LineHead = {
  /** The number of localN. */
  readonly facility: number;
  readonly severity: Severity;
  readonly at: Date;
  readonly hostname: string;
  /** The program, with its process in brackets where that is known. */
  readonly tag: string;
};

/** Lines longer than this are cut: RFC 3164 allows 1024, what receives them 8 KiB and more. */
const MAX_TEXT = 7000;

/** One line, with its line break. */
export function syslogLine({ facility, severity, at, hostname, tag }: LineHead, text: string): string {
  return `${priority(facility, severity)}${timeOf(at)} ${hostname} ${tag}: ${escapeControls(text).slice(0, MAX_TEXT)}\n`;
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

function timeOf(at: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = String(at.getDate()).padStart(2, ' ');
  return `${months[at.getMonth()]} ${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** What a program said, and how grave it is. */
export type Said = { readonly severity: Severity; readonly tag: string; readonly text: string };

const haproxySeverities: Readonly<Record<string, Severity>> = { ALERT: 'alert', WARNING: 'warning', NOTICE: 'notice', INFO: 'info' };
const agentSeverities: Readonly<Record<string, Severity>> = { error: 'err', warn: 'warning', info: 'info' };

/** A line of HAProxy's standard error: `[WARNING]  (27) : Server b/s is DOWN`. */
export function haproxySaid(line: string): Said {
  const [, word = '', pid, text] = /^\[([A-Z]+)\]\s+\((\d+)\) : (.*)$/su.exec(line) ?? [];
  if (text === undefined) return { severity: 'notice', tag: 'haproxy', text: line };
  return { severity: haproxySeverities[word] ?? 'notice', tag: `haproxy[${pid}]`, text };
}

/** A line of the agent's log, or of the engine of UDP and SCTP: a JSON object with its `level`. */
export function agentSaid(tag: string, line: string): Said {
  const level = /"level":"([a-z]+)"/u.exec(line)?.[1] ?? '';
  return { severity: agentSeverities[level] ?? 'info', tag, text: line };
}
