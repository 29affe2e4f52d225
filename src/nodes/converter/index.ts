export { createConverterHttp } from './converter-http.js'
export { type ConverterNode, createConverterNode } from './converter-node.js'
export type { ConverterProfile } from './scan.js'
