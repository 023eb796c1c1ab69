/** Values that must not be printed. */
import { inspect } from 'node:util';

const MASK = '***';

/** A secret text: prints as `***` wherever it is printed, logged or made JSON; `reveal()` is the only way to it. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself: call it at the place of use, and keep it in no variable that outlives that. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [inspect.custom](): string {
    return MASK;
  }
}
