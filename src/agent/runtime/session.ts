/**
 * A conversation with a worker on its stats socket: many commands on one connection (management guide, section 9.3, `prompt`).
 *
 * In this mode HAProxy ends each answer with a line break and `> `. Commands are sent in bundles without waiting in between:
 * 160 answers come back in the time of a few.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';

/** The commands do not fit into HAProxy's buffer (16 kB) if more are under way. */
const BUNDLE_BYTES = 8000;
/** The longest command: a line, or a line and its payload. */
export const MAX_COMMAND_BYTES = 15_000;
const LIMIT_MS = 5000;

/** The worker does not answer, or ended the conversation. */
export class SessionError extends Error {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'SessionError';
  }
}

/** An open conversation; `end` must be called. Calls must not overlap. */
export class Session {
  readonly #socket: Socket;
  #text = '';
  #failure: SessionError | undefined;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      this.#text += chunk;
      this.#wake();
    });
    const fail = (cause?: unknown): void => {
      this.#failure ??= new SessionError('the worker of HAProxy ended the conversation', { cause });
      this.#wake();
    };
    socket.on('error', fail).on('close', () => fail());
  }

  /** Opens one. Throws `SessionError`. */
  static async open(path: string): Promise<Session> {
    const session = new Session(connect(path));
    try {
      await session.#exchange(['prompt']);
      return session;
    } catch (error) {
      session.end();
      throw error;
    }
  }

  /** One command and its answer. Throws `SessionError`. */
  async ask(command: string): Promise<string> {
    return (await this.#exchange([command]))[0] ?? '';
  }

  /** The answers to many commands, in their order. Throws `SessionError`. */
  async askAll(commands: readonly string[]): Promise<readonly string[]> {
    const answers: string[] = [];
    let bundle: string[] = [];
    let length = 0;
    for (const command of commands) {
      if (length + command.length > BUNDLE_BYTES && bundle.length > 0) {
        answers.push(...(await this.#exchange(bundle)));
        bundle = [];
        length = 0;
      }
      bundle.push(command);
      length += command.length;
    }
    if (bundle.length > 0) answers.push(...(await this.#exchange(bundle)));
    return answers;
  }

  /** Ends it. */
  end(): void {
    this.#socket.destroy();
  }

  async #exchange(commands: readonly string[]): Promise<readonly string[]> {
    this.#socket.write(commands.map((command) => `${command}\n`).join(''));
    const answers: string[] = [];
    const deadline = Date.now() + LIMIT_MS;
    while (answers.length < commands.length) {
      const end = this.#text.indexOf('\n> ');
      if (end >= 0) {
        // Before the answer to a payload stands a `+ ` for each of its lines.
        answers.push(
          this.#text
            .slice(0, end)
            .replace(/^(?:\+ )+/u, '')
            .trim(),
        );
        this.#text = this.#text.slice(end + 3);
      } else if (this.#failure !== undefined) throw this.#failure;
      else await this.#more(deadline);
    }
    return answers;
  }

  #more(deadline: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new SessionError(`the worker of HAProxy did not answer within ${LIMIT_MS} ms`)),
        deadline - Date.now(),
      );
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
