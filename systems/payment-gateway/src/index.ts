/** The system as a part of another program, such as the benchmark. */
export { removeTables } from './database/migrate.ts'
export type { SystemState } from './state-file.ts'
export { PaymentSystem, type Surroundings, type SystemOptions } from './system.ts'
