export type { Awaitable, ProgramToRun, Started } from '../trainer-plugin/trainer-logic.js'
export { type Conversion, type ConverterLogic, defineConverter, type ModelInfo } from './converter-logic.js'
