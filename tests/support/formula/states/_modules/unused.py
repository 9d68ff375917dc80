def unused():
    return "nobody calls it"
