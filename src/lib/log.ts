/** Logs: a constant message and fields. `log.info({ loadbalancer_id }, 'load balancer is active')`. */
import { pino } from 'pino';
import type { Logger as PinoLogger } from 'pino';

/** What every part gets to write its log with. `log.child({ reconcile_id })` adds fields to each line. */
export type Logger = PinoLogger;

/** The levels, from talkative to quiet. */
export type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** How the log of a process looks; a text line each when standard error is a terminal, else a JSON object each. */
export type LogOptions = { readonly level?: Level; readonly form?: 'text' | 'json'; readonly fields?: Readonly<Record<string, unknown>> };

/** The log of this process, on standard error. Writing is synchronous, so nothing is lost in a crash. */
export function createLogger(options: LogOptions = {}): Logger {
  const form = options.form ?? (process.stderr.isTTY ? 'text' : 'json');
  const destination = pino.destination({ fd: 2, sync: true });
  const stream = form === 'json' ? destination : { write: (line: string) => destination.write(textLine(line)) };
  return pino({ level: options.level ?? 'info', base: options.fields ?? {} }, stream);
}

/** A log that is thrown away, for tests. */
export const silentLogger: Logger = pino({ level: 'silent' });

/** A log that keeps its lines, for tests that look at what was logged. */
export function recordingLogger(): { readonly log: Logger; readonly lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'trace', base: {} }, { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) });
  return { log, lines };
}

const levelNames: Readonly<Record<number, string>> = { 10: 'trace', 20: 'debug', 30: 'info ', 40: 'warn ', 50: 'ERROR', 60: 'FATAL' };

/** One JSON line of pino as one line for people: `12:00:01.250 info  message  key=value`; an error adds its stack below. */
export function textLine(json: string): string {
  const { level, time, msg, err, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const clock = new Date(Number(time)).toISOString().slice(11, 23);
  const rest = Object.entries(fields).map(([key, value]) => `  ${key}=${typeof value === 'string' ? plain(value) : JSON.stringify(value)}`);
  const error = err as { message?: string; stack?: string } | undefined;
  const stack =
    error === undefined
      ? ''
      : (error.stack ?? error.message ?? String(err))
          .split('\n')
          .map((line) => `\n    ${plain(line)}`)
          .join('');
  return `${clock} ${levelNames[Number(level)] ?? String(level)} ${plain(String(msg ?? ''))}${rest.join('')}${stack}\n`;
}

/** Text of others must not move the cursor or forge a line of its own. */
function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return /[\u0000-\u001f\u007f-\u009f]/u.test(text) ? JSON.stringify(text) : text;
}
