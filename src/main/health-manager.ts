/** A health manager alone. */
import { runControllers } from './run.ts';

await runControllers({ name: 'health-manager', roles: { api: false, worker: false, health: true, housekeeping: false } });
