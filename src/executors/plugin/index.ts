export { loadConverter } from './load-converter.js'
export { loadTrainer } from './load-trainer.js'
