/** The rules about who may import what, as tables. A new edge needs a line here, so it is seen by whoever reviews the change. */

/** What a folder of src may import besides itself; `because` is the reason why not more. */
export type FolderRule = { readonly may: readonly string[]; readonly because: string };

const program =
  'a program is started by src/main and talks to other programs through the database or the wire, so that each can run alone on its own host';

/** Folder of src → rule. `main` may import everything. */
export const folders: Readonly<Record<string, FolderRule>> = {
  model: { may: [], because: 'the domain is used by every other part and by the browser: it knows nothing but itself' },
  wire: { may: ['model'], because: 'both the controller and the agent include the wire: it must not pull either in' },
  lib: { may: [], because: 'lib has no domain, so that anything may use it' },
  config: { may: ['model', 'lib'], because: 'the configuration is read before anything else is built' },
  db: { may: ['model', 'lib'], because: 'the database stores the domain; what acts on it is above' },
  cloud: {
    may: ['model', 'lib'],
    because: 'a cloud makes what it is told to make and knows no load balancer, so that clouds can be exchanged',
  },
  providers: { may: ['model', 'wire', 'lib', 'db', 'cloud'], because: 'a provider is called by worker and API, never the other way round' },
  worker: { may: ['model', 'lib', 'db', 'providers'], because: program },
  api: { may: ['model', 'lib', 'db', 'cloud', 'providers'], because: program },
  health: { may: ['model', 'wire', 'lib', 'db'], because: `${program}; it marks what is silent, and the worker acts` },
  housekeeping: { may: ['model', 'lib', 'db', 'cloud'], because: program },
  'driver-agent': { may: ['model', 'lib', 'db', 'providers'], because: program },
  agent: { may: ['model', 'wire', 'lib'], because: 'the agent runs in the amphora: it must stay small and hold nothing of the controller' },
  cli: { may: ['model', 'lib', 'config', 'db'], because: program },
  main: { may: ['*'], because: 'main builds everything' },
};

/** npm packages and Node modules that only some folders or files may import; paths are prefixes below src. */
export const packages: readonly { readonly names: readonly string[]; readonly only: readonly string[]; readonly because: string }[] = [
  { names: ['kysely', 'pg', 'node:sqlite'], only: ['db'], because: 'only db speaks SQL' },
  { names: ['pino'], only: ['lib'], because: 'logs go through lib/log.ts' },
  { names: ['fastify'], only: ['api', 'main'], because: 'only the API is built on it; the agent stays small' },
  { names: ['typebox'], only: ['model', 'api', 'db', 'wire'], because: 'schemas are declared in the model and read at the borders' },
  { names: ['commander'], only: ['cli', 'main'], because: 'only commands have arguments' },
  {
    names: ['undici', 'node:http', 'node:https', 'node:http2'],
    only: ['cloud', 'api', 'agent', 'main', 'providers/amphora/agent-', 'providers/amphora/http-agent'],
    because: 'only cloud speaks to clouds, only the agent client speaks to agents',
  },
  { names: ['node:dgram'], only: ['health', 'agent'], because: 'heartbeats are the only datagrams' },
  {
    names: ['node:child_process'],
    only: ['lib', 'cloud/local', 'agent', 'main'],
    because: 'programs are run through lib/run.ts, without a shell',
  },
];

/** Paths whose code is pure: no input or output, clock or randomness; times and ids are parameters. */
export const purePaths: readonly RegExp[] = [
  /^src\/model\//u,
  /^src\/providers\/amphora\/render\//u,
  /^src\/providers\/amphora\/plan[^/]*\.ts$/u,
  /^src\/api\/policy\//u,
  /^src\/health\/derive-status\.ts$/u,
  /^src\/agent\/runtime\/(?:plan[^/]*|seen|server-line|server-state|steps|members|words)\.ts$/u,
];

/** Imports that pure files may have although they are Node's, each with its reason. */
export const pureExceptions: readonly { readonly path: string; readonly target: string; readonly because: string }[] = [
  {
    path: 'src/providers/amphora/render/peers.ts',
    target: 'node:crypto',
    because: 'createHash is a function of its input: the names of peers are digests of amphora ids',
  },
  {
    path: 'src/agent/runtime/plan-form.ts',
    target: 'node:net',
    because: 'isIP is a function of its input',
  },
];

/** Longest file, longest function, and most files in one folder. */
export const limits = { file: 500, function: 80, folder: 25 } as const;

/** Files, functions (`path name`) and folders that may be longer, each with its reason. */
export const longer: readonly { readonly what: string; readonly because: string }[] = [
  { what: 'src/db', because: 'one file of queries for each resource: the same file name in each layer is the index of the project' },
];
