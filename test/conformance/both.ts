/** Two servers that are asked the same, each with its own ids. */
import { compareAnswers, type Difference } from './compare.ts';
import type { Answer, Request } from './exchange.ts';
import { bindNames, Names, normalForm, readBody, sentOf } from './normal-form.ts';
import { settle } from './replay.ts';
import { createSender, type Sender } from './send.ts';

/** A request, and whether the order of what comes counts. */
export type Asked = Request & { readonly ordered?: true };

/** One of the two servers, with its own ids. */
class Side {
  readonly names = new Names();
  readonly #base_url: string;
  readonly #sender: Sender;

  constructor(base_url: string) {
    this.#base_url = base_url.replace(/\/+$/u, '');
    this.#sender = createSender(this.#base_url);
  }

  async ask(request: Asked): Promise<Answer> {
    const received = await this.#sender.send(sentOf(request, this.names));
    bindNames(request, readBody(received.body), this.names);
    return normalForm(request, received, this.names, this.#base_url);
  }

  settle(name: string): Promise<void> {
    return settle(this.names.fill(name), this.#sender.send, 'explore');
  }

  close(): void {
    this.#sender.close();
  }
}

/** What both answered: theirs, then ours. */
export type Answers = readonly [Answer, Answer];

/** The reference and this program, asked the same things. */
export class Both {
  readonly #sides: readonly [Side, Side];

  constructor(theirs: string, ours: string) {
    this.#sides = [new Side(theirs), new Side(ours)];
  }

  ask(request: Asked): Promise<Answers> {
    const [theirs, ours] = this.#sides;
    return Promise.all([theirs.ask(request), ours.ask(request)]);
  }

  /** Waits until a load balancer is settled on both. */
  async settle(name: string): Promise<void> {
    await Promise.all(this.#sides.map((side) => side.settle(name)));
  }

  close(): void {
    for (const side of this.#sides) side.close();
  }
}

/** What to show of the differences found. */
export type TellOptions = { readonly text: boolean; readonly kinds: readonly string[] | null };

/** Tells each difference once for each kind of request and place, and counts them. */
export class Teller {
  readonly #shown = new Set<string>();
  readonly #counts = new Map<string, number>();
  readonly #options: TellOptions;

  constructor(options: TellOptions) {
    this.#options = options;
  }

  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  get hasFound(): boolean {
    return this.#shown.size > 0;
  }

  /** Compares and tells; answers true when the two answers are worth a look. */
  tell(request: Asked, [theirs, ours]: Answers): boolean {
    const { text, kinds } = this.#options;
    const [first] = compareAnswers(theirs, ours, request.ordered).filter((each) => text || each.kind !== 'text');
    if (first === undefined) return false;
    this.#counts.set(first.kind, (this.#counts.get(first.kind) ?? 0) + 1);
    if (first.kind === 'better' || kinds?.includes(first.kind) === false) return false;
    this.#show(request, first);
    return true;
  }

  #show(request: Asked, { kind, path, theirs, ours }: Difference): void {
    const place = `${request.method} ${request.path.replaceAll(/=[^&]*/gu, '=')} ${kind} ${path} ${String(theirs).slice(0, 60)}`;
    if (this.#shown.has(place)) return;
    this.#shown.add(place);
    const line = (value: unknown): string => String(typeof value === 'string' ? value : JSON.stringify(value)).slice(0, 300);
    process.stdout.write(
      `${request.method} ${request.path}\n  ${(request.data ?? '').slice(0, 400)}\n  ${kind} ${path}\n    theirs ${line(theirs)}\n    ours   ${line(ours)}\n`,
    );
  }
}
