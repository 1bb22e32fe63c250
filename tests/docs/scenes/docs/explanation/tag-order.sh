export PUSH_QUEUE_REDIS_URL=redis://localhost:6379
push-queue enqueue app.tar --to reg.example.com/app:latest --id build-11
push-queue enqueue app.tar --to reg.example.com/app:latest --id build-12
push-worker &
push-queue watch build-11 build-12
