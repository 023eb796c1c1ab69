/** What a part of the bench is, and what it is given. */

/** One line of a part's table: its columns and their values. */
export type Row = Readonly<Record<string, string | number | null>>;

/** How the parts are run. */
export type BenchRun = {
  /** Smaller numbers and shorter waits: to see whether it works, not for figures to quote. */
  readonly is_quick: boolean;
  /** A folder for everything temporary; its path is short, because sockets lie in it. */
  readonly folder: string;
  /** Tells the progress, one short line each. */
  readonly say: (line: string) => void;
};

/** A part of the bench. */
export type BenchPart = {
  readonly name: string;
  /** One sentence: what is measured, and how. */
  readonly what: string;
  /** Null when it can run here, else the reason why not. */
  whyNot(): string | null;
  run(run: BenchRun): Promise<readonly Row[]>;
};
