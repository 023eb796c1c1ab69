/** LISTEN on a connection of its own, which is made again when it is lost. */
import { EventEmitter } from 'node:events';
import { Client } from 'pg';
import { backoffDelay } from '../../lib/backoff.ts';
import type { Logger } from '../../lib/log.ts';

/** Hears notifications; what is sent while the connection is lost is not heard. */
export type Listener = {
  /** Resolves when the server is listening, or at once while it cannot be reached (it will be, later). */
  listen(channel: string, handler: (payload: string) => void): Promise<() => void>;
  close(): Promise<void>;
};

/** Connects with the first `listen`. Channels are separate for each schema. */
export function listenTo({ url, log }: { readonly url: string; readonly log: Logger }): Listener {
  const hints = new EventEmitter().setMaxListeners(0);
  let closed = false;
  let failures = 0;
  let connecting: Promise<void> | undefined;
  let client: Client | undefined;
  let schema = '';
  let again: NodeJS.Timeout | undefined;

  const connect = async (): Promise<void> => {
    const fresh = new Client({ connectionString: url, connectionTimeoutMillis: 5000, keepAlive: true, application_name: 'octavia-listen' });
    fresh.on('error', () => undefined);
    fresh.on('notification', ({ channel, payload }) => hints.emit(channel.slice(schema.length + 1), payload ?? ''));
    fresh.once('end', () => lost(fresh));
    try {
      await fresh.connect();
      schema = ((await fresh.query('select current_schema() as name')).rows[0] as { name: string }).name;
      client = fresh;
      for (const channel of hints.eventNames()) await subscribe(String(channel));
      failures = 0;
    } catch (error) {
      log.warn({ reason: (error as Error).message }, 'cannot listen to the database; work is found by polling meanwhile');
      await fresh.end().catch(() => undefined);
      lost(fresh);
    }
  };

  const lost = (which: Client): void => {
    if (client !== undefined && client !== which) return;
    client = undefined;
    if (closed || again !== undefined) return;
    failures += 1;
    again = setTimeout(
      () => {
        again = undefined;
        connecting = connect();
      },
      backoffDelay(failures, { base_ms: 100, max_ms: 10_000 }, Math.random()),
    );
    again.unref();
  };

  const subscribe = async (channel: string): Promise<void> => {
    if (client !== undefined) await client.query(`LISTEN ${client.escapeIdentifier(`${schema}.${channel}`)}`);
  };

  return {
    async listen(channel, handler) {
      hints.on(channel, handler);
      connecting ??= connect();
      await connecting;
      // A failure here ends the connection, and the next one subscribes to every channel.
      await subscribe(channel).catch((error: unknown) => log.warn({ err: error }, 'cannot listen to the database'));
      return () => void hints.off(channel, handler);
    },
    async close() {
      closed = true;
      clearTimeout(again);
      hints.removeAllListeners();
      await connecting;
      await client?.end().catch(() => undefined);
    },
  };
}
