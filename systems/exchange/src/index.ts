/** The system as a part of another program. */
export { ExchangeSystem, type Surroundings, type SystemOptions } from './system.ts'
