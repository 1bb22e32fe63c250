export PUSH_QUEUE_REDIS_URL=redis://localhost:6379
push-worker &
