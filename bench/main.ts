import { annotator } from './figures/annotator.js'
import { converter } from './figures/converter.js'
import { gpuIdle } from './figures/gpu-idle.js'
import { idleSeats } from './figures/idle-seats.js'
import { images } from './figures/images.js'
import { missingImages } from './figures/missing-images.js'
import { models } from './figures/models.js'
import { order } from './figures/order.js'
import { outbox } from './figures/outbox.js'
import { queueCost } from './figures/queue-cost.js'
import { statusLatency } from './figures/status-latency.js'
import { runFigures } from './run-figures.js'

await runFigures([
  order,
  images,
  gpuIdle,
  models,
  statusLatency,
  idleSeats,
  queueCost,
  converter,
  outbox,
  annotator,
  missingImages, // last: where so many files were removed, a file system may make each new one wait
])
