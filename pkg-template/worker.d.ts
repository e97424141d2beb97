// For a worker of your own: importing it makes the worker answer Spinney.openWorker(name, { worker }).
export {};
