def shape():
    return {"shape": "round"}
