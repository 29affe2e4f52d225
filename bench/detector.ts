import { restDecoded, restModel, restPlain, socketJpeg, socketRaw } from './detector/figures.js'
import { runFigures } from './run-figures.js'

await runFigures([restPlain, restDecoded, restModel, socketJpeg, socketRaw])
