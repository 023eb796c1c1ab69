/** Housekeeping alone. */
import { runControllers } from './run.ts';

await runControllers({ name: 'housekeeping', roles: { api: false, worker: false, health: false, housekeeping: true } });
