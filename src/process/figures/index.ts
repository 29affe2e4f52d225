export { treeFigures } from './figures.js'
export { type FileIdentity, type WriterWatch, watchWriters } from './open-writers.js'
