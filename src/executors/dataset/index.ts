export { exportDataset } from './export-dataset.js'
export { type DatasetFormat, datasetFormats } from './formats.js'
export { assignValidationSet, COMPUTE_VALIDATION_SET } from './validation-set.js'
export { escapeForPython } from './yaml-for-python.js'
