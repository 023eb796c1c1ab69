/** Measuring the access matrix, and writing it as a table. */
import { type Endpoint, endpoints } from './endpoints.ts';
import { expected, subjects } from './expected.ts';
import { createWorld, isServed, type Where, type World } from './world.ts';

/** One cell: what the policies say, and the statuses that came. */
export type Cell = {
  readonly endpoint: Endpoint;
  readonly subject: string;
  readonly where: Where;
  readonly isExpected: boolean;
  readonly status: number;
  /** Is what came what was expected? */
  readonly isRight: boolean;
};

/** The matrix, and the endpoints that this program does not serve. */
export type Matrix = { readonly cells: readonly Cell[]; readonly absent: readonly Endpoint[] };

/** Asks every endpoint as every subject, or as some, about things of its own project and of another. */
export async function measure(t: Parameters<typeof createWorld>[0], only = Object.keys(subjects)): Promise<Matrix> {
  const world = await createWorld(t);
  const tokens = new Map<string, string | undefined>();
  for (const [name, subject] of Object.entries(subjects)) if (only.includes(name)) tokens.set(name, await world.login(subject));
  const cells: Cell[] = [];
  const served = endpoints.filter(({ method, path }) => isServed(method, path));
  for (const endpoint of served)
    for (const [subject, token] of tokens)
      for (const where of placesOf(endpoint)) cells.push(await measureCell(world, endpoint, subject, token, where));
  return { cells, absent: endpoints.filter((each) => !served.includes(each)) };
}

const placesOf = (endpoint: Endpoint): readonly Where[] => (endpoint.ofNoProject === true ? ['own'] : ['own', 'other']);

async function measureCell(world: World, endpoint: Endpoint, subject: string, token: string | undefined, where: Where): Promise<Cell> {
  const { method, path, body, ok, spends } = endpoint;
  const reach = expected[subject]?.[endpoint.right] ?? 'none';
  const isExpected = reach === 'all' || (reach === 'own' && where === 'own');
  const got = await world.send(token, method, path, where, body);
  if (got.status >= 200 && got.status < 300) await world.undo(method, path, where, spends, got);
  const wanted = isExpected ? ok : subjects[subject]?.scope === 'no token' ? 401 : 403;
  return { endpoint, subject, where, isExpected, status: got.status, isRight: got.status === wanted };
}

/** The table: in each cell what is expected (+ may, - may not) and what came, for the own project and for another. */
export function tableOf({ cells, absent }: Matrix): string {
  const names = Object.keys(subjects);
  const rows = [...new Set(cells.map((cell) => cell.endpoint))].map((endpoint) => [
    `${endpoint.method} ${endpoint.path}`,
    endpoint.right,
    ...names.map((name) =>
      cells
        .filter((cell) => cell.endpoint === endpoint && cell.subject === name)
        .map(({ isExpected, status, isRight }) => `${isExpected ? '+' : '-'}${status}${isRight ? '' : '!'}`)
        .join(' '),
    ),
  ]);
  const head = ['endpoint', 'right', ...names];
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((text, at) => text.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd();
  const wrong = cells.filter((cell) => !cell.isRight).length;
  return [
    'Each cell: expected by the published policies (+ may, - may not) and the status that came; own project, then another. ! is a difference.',
    '',
    line(head),
    ...rows.map(line),
    ...absent.map(({ method, path }) => `${method} ${path}: not served`),
    '',
    `${cells.length} cells, ${cells.length - wrong} as expected, ${wrong} different; ${absent.length} endpoints not served`,
  ].join('\n');
}
